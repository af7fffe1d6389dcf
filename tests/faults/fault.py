"""What a row of the fault table is made of."""

from __future__ import annotations

import os
import random
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


class Broken(Exception):
    """A promise that was not kept."""


@dataclass(frozen=True)
class Fault:
    """What is done to mindres, what it promises, and a function that tries it and raises `Broken`."""

    name: str
    promise: str
    check: Callable[[Try], None]


@dataclass
class Try:
    """A row that is being tried: an empty folder, a random generator, and the number of tries so far."""

    folder: Path
    scale: float
    random: random.Random
    tries: int = 0

    def times(self, usual: int) -> range:
        """As many tries as asked for, at least one. The row adds each to `tries`."""
        return range(max(1, round(usual * self.scale)))

    def run(
        self, *arguments, timeout=120, cwd=None, stdin=None, **environment
    ) -> subprocess.CompletedProcess:
        """Run Python with `arguments` in a process of its own, in `folder`; a hang is `Broken`."""
        try:
            return subprocess.run(
                [sys.executable, *map(str, arguments)],
                cwd=cwd or self.folder,
                input=stdin,
                env=clean_environment(self.folder, **environment),
                capture_output=True,
                text=True,
                errors="backslashreplace",
                timeout=timeout,
            )
        except subprocess.TimeoutExpired:
            raise Broken(
                f"{' '.join(map(str, arguments))[:200]} had not ended after {timeout} s"
            ) from None


def clean_environment(folder: Path, **changes) -> dict[str, str]:
    """The environment without what a user may have set, with a cache in `folder`; a change to None removes."""
    kept = {
        k: v for k, v in os.environ.items() if not k.startswith(("MINDRES_", "ONEDNN_", "DISPLAY"))
    }
    kept |= {
        "PYTHONPATH": str(ROOT),
        "MPLBACKEND": "Agg",
        "MINDRES_CACHE": str(folder / "cache"),
        **changes,
    }
    return {k: v for k, v in kept.items() if v is not None}


def expect(promise_kept, what: str) -> None:
    """Raise `Broken(what)` unless the promise was kept."""
    if not promise_kept:
        raise Broken(what)


def one_line_error(done: subprocess.CompletedProcess, *parts: str) -> None:
    """The process ended with status 2 and one line on standard error that begins as promised and has these parts."""
    lines = done.stderr.strip().splitlines()
    expect(
        done.returncode == 2 and len(lines) == 1 and lines[0].startswith("mindres: error: "),
        f"status {done.returncode}, standard error {done.stderr[-600:]!r}",
    )
    for part in parts:
        expect(part in lines[0], f"{part!r} is not in {lines[0]!r}")
