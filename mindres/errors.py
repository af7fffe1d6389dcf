"""What a user can put right, and the one way to an exit status of 2.

Every mistake a user can correct is raised as `UserError`. `run` turns it into one line on standard
error, `mindres: error: ...`, that says what is wrong, where, and what to do. Anything else is a
defect of this package and keeps its traceback.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Callable


class UserError(Exception):
    """A mistake that the user can put right; its message is the whole explanation."""

    def __str__(self) -> str:
        return " ".join(super().__str__().split())


class ArgumentParser(argparse.ArgumentParser):
    """argparse with this package's error line, its help layout, and no abbreviated flags."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)

    def error(self, message: str):
        raise UserError(f"{message} (see {self.prog} --help)")


def run(main: Callable[[], int | None]) -> None:
    """Call `main` and leave the process with its status: 0, 2 for a `UserError`, 130 for Ctrl-C."""
    try:
        status = main() or 0
        sys.stdout.flush()
    except UserError as error:
        print(f"mindres: error: {error}", file=sys.stderr)
        status = 2
    except KeyboardInterrupt:
        print("mindres: interrupted", file=sys.stderr)
        status = 130
    except BrokenPipeError:
        # The reader has gone (`| head`): Python would complain once more when it flushes at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = 141
    sys.exit(status)


def positive_int(text: str) -> int:
    """An argparse type: a whole number of at least 1."""
    return _number(text, int, lambda n: n >= 1, "a whole number of at least 1")


def non_negative_int(text: str) -> int:
    """An argparse type: a whole number of at least 0."""
    return _number(text, int, lambda n: n >= 0, "a whole number of at least 0")


def positive_float(text: str) -> float:
    """An argparse type: a finite number above 0."""
    return _number(text, float, lambda x: 0 < x < float("inf"), "a number above 0")


def non_negative_float(text: str) -> float:
    """An argparse type: a finite number of at least 0."""
    return _number(text, float, lambda x: 0 <= x < float("inf"), "a number of at least 0")


def _number(text, kind, accept, wanted):
    try:
        value = kind(text)
        if accept(value):
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be {wanted}, not {text!r}")
