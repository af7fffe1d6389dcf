"""User errors, and the system's and MindSpore's errors in words."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Iterable


class UserError(Exception):
    """A mistake that the user can put right; its message is the whole explanation."""

    def __str__(self) -> str:
        line = " ".join(super().__str__().split())
        # It may quote a hostile file, which could speak to the terminal.
        return (
            line
            if line.isprintable()
            else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)
        )


def unknown(what: str, name, known: Iterable[str]) -> UserError:
    """The error for a `name` that is none of the `known` ones; it suggests the nearest of them, or lists all."""
    return UserError(f"unknown {what} {name!r}: {suggestion(name, known)}")


def suggestion(name, known: Iterable[str]) -> str:
    """What to choose in place of `name`, in words: the nearest of the `known` names, or all of them."""
    spelled = {str(each).lower(): str(each) for each in known}
    near = difflib.get_close_matches(str(name).lower(), spelled, n=3)
    if near:
        return f"did you mean {' or '.join(spelled[each] for each in near)}?"
    return f"choose one of {', '.join(spelled.values())}"


def translated(error: Exception) -> UserError | None:
    """What a user can do about an error of the system or of MindSpore; None where that is nothing."""
    text = str(error)
    if isinstance(error, MemoryError) or NO_MEMORY.search(text):
        return UserError(
            "the memory is not enough: lower --batch_size or --resize, or end other programs"
        )
    if isinstance(error, OSError) and error.strerror:
        where = (
            f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        )
        return UserError(f"{where}{error.strerror}")
    if "Dataset Pipeline Error Message" in text:
        reason = re.search(r"\[ERROR\] (.*)", text)
        return UserError(
            f"the dataset cannot be read: {reason[1] if reason else text.splitlines()[0]}; if its files "
            "changed, start again"
        )
    return None


# As MindSpore, its GPU plug-in and CANN say it.
NO_MEMORY = re.compile(
    r"(alloc|malloc)\w*( \w+){0,2} fail|out of memory|memory (is )?(not|isn't) enough|bad_alloc",
    re.IGNORECASE,
)
