"""The environment variables that mindres reads, one row each.

Nothing else in the package reads its own variables from the environment. `mindres doctor` and
docs/reference/settings.md list the rows.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class Setting(NamedTuple):
    """A row: the default of a variable, and what the variable sets."""

    default: str
    meaning: str


SETTINGS = {
    "HF_ENDPOINT": Setting(
        "`https://huggingface.co`",
        "URL of a server to use in place of the Hugging Face hub",
    ),
    "MINDRES_CACHE": Setting(
        "`$XDG_CACHE_HOME/mindres`, else `~/.cache/mindres`",
        "folder for downloaded weights, compiled operators and prepared data",
    ),
    "MINDRES_DEVICE_TARGET": Setting(
        "auto",
        "device to use where a program names none: CPU, GPU or Ascend",
    ),
    "MINDRES_MIRROR": Setting(
        "the publishers themselves",
        "URL of a server with the same paths, for machines that cannot reach the publishers",
    ),
    "MINDRES_NATIVE": Setting(
        "1",
        "0 switches the native CPU operators off",
    ),
}


def get(name: str) -> str | None:
    """The value of the variable `name`, one of `SETTINGS`; None if it is unset or empty."""
    if name not in SETTINGS:
        raise KeyError(f"{name} has no row in mindres/settings.py")
    return os.environ.get(name) or None


def present() -> dict[str, str]:
    """The variables that are set, with their values."""
    return {name: value for name in SETTINGS if (value := get(name))}


def markdown() -> str:
    """The table of all variables in docs/reference/settings.md."""
    rows = [
        f"| `{name}` | {setting.default} | {setting.meaning} |"
        for name, setting in SETTINGS.items()
    ]
    return "\n".join(["| variable | default | meaning |", "| --- | --- | --- |", *rows])
