"""Commands of mindres, run in this process."""

from __future__ import annotations

import contextlib
import io


def command(*words) -> str:
    """What a command of mindres prints."""
    from mindres.cli.program import run_command

    with contextlib.redirect_stdout(io.StringIO()) as told:
        run_command([*map(str, words)])
    return told.getvalue()
