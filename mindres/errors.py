"""User errors, and their making from errors of the system and of MindSpore."""

from __future__ import annotations

import contextlib
import difflib
import os
import re
from collections.abc import Iterable, Iterator

from mindres.compat.mindspore import NO_MEMORY, NO_REASON, pipeline_reason, pipeline_user_error

# Python arguments whose flag has another name.
FLAGS = {"target": "device_target", "path": "dataset_path", "minutes": "time"}
_flags_are_named = False
LESS_MEMORY = "lower `batch_size` or `resize`, or end other programs"


class UserError(Exception):
    """A mistake that the user can correct; its message is the whole explanation.

    Messages name Python arguments in backquotes, with a value if need be: "lower `batch_size`",
    "`target=CPU` works here". The command line shows them as flags.
    """

    def __str__(self) -> str:
        line = " ".join(super().__str__().split())
        if line.isprintable():
            return line
        # The message may quote a hostile file, and with it control sequences for the terminal.
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)

    def on_command_line(self) -> str:
        """The message with flags in place of arguments."""
        return with_flags(str(self))


def with_flags(text: str) -> str:
    """`text` with arguments written as flags: --batch_size for `batch_size`."""
    return re.sub(r"`([a-z][a-z_]*)(=[^`\s]+)?`", _flag, text)


@contextlib.contextmanager
def naming_flags() -> Iterator[None]:
    """Let `for_user` name flags in this block, which runs a command or a script."""
    global _flags_are_named
    before = _flags_are_named
    _flags_are_named = True
    try:
        yield
    finally:
        _flags_are_named = before


def for_user(text: str) -> str:
    """`text` with arguments written as the user gives them: as flags within `naming_flags`."""
    return with_flags(text) if _flags_are_named else text


def _flag(found: re.Match) -> str:
    name, value = found.groups()
    return f"--{FLAGS.get(name, name)}{f' {value[1:]}' if value else ''}"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def unknown(what: str, name, known: Iterable[str]) -> UserError:
    """The error for a `name` that is not among the `known` ones; it suggests the nearest."""
    return UserError(f"unknown {what} {name!r}: {suggestion(name, known)}")


def suggestion(name, known: Iterable[str]) -> str:
    """What to choose in place of `name`: the nearest of the `known` names, or all of them."""
    spelled = {str(each).lower(): str(each) for each in known}
    near = difflib.get_close_matches(str(name).lower(), spelled, n=3)
    if near:
        return f"did you mean {' or '.join(spelled[each] for each in near)}?"
    return f"choose one of {', '.join(spelled.values())}"


def translated(error: Exception) -> UserError | None:
    """The `UserError` for an error of the system or of MindSpore; None for a defect."""
    if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
        return UserError(f"out of memory: {LESS_MEMORY}")
    if NO_REASON.search(str(error)):
        return UserError(
            f"MindSpore failed without giving a reason ({_first_line(error)}), as it does when it "
            f"runs out of memory: {LESS_MEMORY}"
        )
    if isinstance(error, OSError) and error.strerror:
        named = isinstance(error.filename, (str, bytes))
        where = f"{os.fsdecode(error.filename)}: " if named else ""
        return UserError(f"{where}{error.strerror}")
    if reason := pipeline_user_error(error) or pipeline_reason(error):
        return UserError(f"the dataset cannot be read: {reason}; if its files changed, start again")
    return None
