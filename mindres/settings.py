"""The environment variables that mindres reads: one row each, and the one place that reads them.

To add one, add a row. `mindres doctor` and docs/reference/settings.md follow from the rows.
"""

from __future__ import annotations

import os
from typing import NamedTuple


class Setting(NamedTuple):
    """What holds where the variable is not set, and what setting it does."""

    default: str
    meaning: str


SETTINGS = {
    "HF_ENDPOINT": Setting(
        "`https://huggingface.co`",
        "address of a server that stands in for the Hugging Face hub",
    ),
    "MINDRES_CACHE": Setting(
        "`$XDG_CACHE_HOME/mindres`, else `~/.cache/mindres`",
        "folder of downloaded weights, compiled operators and prepared data",
    ),
    "MINDRES_DEVICE_TARGET": Setting(
        "auto",
        "CPU, GPU or Ascend: the device of programs that name none",
    ),
    "MINDRES_MIRROR": Setting(
        "the publishers themselves",
        "address of a server with the same paths, for machines that reach no publisher",
    ),
    "MINDRES_NATIVE": Setting(
        "1",
        "0 switches the native CPU operators off",
    ),
}


def get(name: str) -> str | None:
    """The value of the variable `name`, one of `SETTINGS`; None where it is unset or empty."""
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
