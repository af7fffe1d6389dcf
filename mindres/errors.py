"""User errors, and the system's and MindSpore's errors in words."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable

from mindres.compat.mindspore import NO_MEMORY, NO_REASON, pipeline_reason, pipeline_user_error

# Where an argument of the Python interface has another name than the flag for it.
FLAGS = {"target": "device_target", "path": "dataset_path", "minutes": "time"}
LESS_MEMORY = "lower `batch_size` or `resize`, or end other programs"


class UserError(Exception):
    """A mistake that the user can put right; its message is the whole explanation.

    Arguments of the Python interface are named in backquotes, with their value if need be:
    "lower `batch_size`", "`target=CPU` works here". The command line shows them as flags.
    """

    def __str__(self) -> str:
        line = " ".join(super().__str__().split())
        if line.isprintable():
            return line
        # It may quote a hostile file, which could speak to the terminal.
        return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)

    def on_command_line(self) -> str:
        """The message with flags for arguments: --batch_size for `batch_size`."""
        return with_flags(str(self))


def with_flags(text: str) -> str:
    """Text that names arguments in backquotes, with flags in their place."""
    return re.sub(r"`([a-z][a-z_]*)(=[^`\s]+)?`", _flag, text)


def _flag(found: re.Match) -> str:
    name, value = found.groups()
    return f"--{FLAGS.get(name, name)}{f' {value[1:]}' if value else ''}"


def _first_line(error: Exception) -> str:
    return str(error).strip().splitlines()[0]


def unknown(what: str, name, known: Iterable[str]) -> UserError:
    """The error for a `name` that is none of the `known` ones; it suggests what to choose."""
    return UserError(f"unknown {what} {name!r}: {suggestion(name, known)}")


def suggestion(name, known: Iterable[str]) -> str:
    """What to choose in place of `name`, in words: the nearest of the `known` names, or all."""
    spelled = {str(each).lower(): str(each) for each in known}
    near = difflib.get_close_matches(str(name).lower(), spelled, n=3)
    if near:
        return f"did you mean {' or '.join(spelled[each] for each in near)}?"
    return f"choose one of {', '.join(spelled.values())}"


def translated(error: Exception) -> UserError | None:
    """What a user can do about an error of the system or MindSpore; None where that is nothing."""
    if isinstance(error, MemoryError) or NO_MEMORY.search(str(error)):
        return UserError(f"the memory is not enough: {LESS_MEMORY}")
    if NO_REASON.search(str(error)):
        return UserError(
            f"MindSpore failed and gives no reason ({_first_line(error)}), as it does where the "
            f"memory is not enough: {LESS_MEMORY}"
        )
    if isinstance(error, OSError) and error.strerror:
        named = isinstance(error.filename, (str, bytes))
        where = f"{os.fsdecode(error.filename)}: " if named else ""
        return UserError(f"{where}{error.strerror}")
    if reason := pipeline_user_error(error) or pipeline_reason(error):
        return UserError(f"the dataset cannot be read: {reason}; if its files changed, start again")
    return None
