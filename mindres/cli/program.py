"""Runs a program of mindres: streams, signals and exit statuses."""

from __future__ import annotations

import atexit
import contextlib
import logging
import os
import platform
import signal
import sys
import traceback
from collections.abc import Callable

from mindres.cli import parser as parsers
from mindres.cli.parser import build_parser
from mindres.errors import UserError, translated
from mindres.signals import NUMBERS, SignalExceptions, Terminated


def run(main: Callable[[], int | None]) -> None:
    """Call `main` and leave the process with its status.

    0; 2 for what the user can put right; 1 for a defect of this package; 130 for Ctrl-C; 143 for
    SIGTERM; 141 where the reader has gone.
    """
    parsers.debug = False
    # Where its folder cannot be written it says so twice, and takes a temporary one.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    _prepare_streams()
    signals = SignalExceptions()
    # Exit callbacks run in reverse order: MindSpore's come between these two.
    atexit.register(_ignore_signals, signal.SIG_IGN)
    try:
        status = main() or 0
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        signals.ignore_for_a_moment()
        terminated = isinstance(interrupt, Terminated)
        status = _say("terminated" if terminated else "interrupted", 143 if terminated else 130)
    except BrokenPipeError:
        status = 141
    except Exception as error:
        status = _status_of(error, interrupted=signals.seen)
    signals.ignore_for_a_moment()
    atexit.register(_ignore_signals, lambda *_: None)
    if status:
        try:
            sys.stdout.flush()
        except OSError:
            # The reader has gone (`| head`), or the disk is full. Python would complain at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _status_of(error: Exception, interrupted: bool) -> int:
    """The exit status for `error`, which is told in one line or as a defect."""
    told = error if isinstance(error, UserError) else translated(error)
    if parsers.debug or not (told or interrupted):
        with contextlib.suppress(OSError):
            traceback.print_exc()
    if told:
        return _say(f"error: {told.on_command_line()}", 2)
    if interrupted:
        # Libraries make other exceptions of it, NumPy an ImportError while it is imported.
        return _say("interrupted", 130)
    return _say(
        "this is a defect of mindres: please report it with the lines above and these: "
        f"{_versions()}",
        1,
    )


def _ignore_signals(handler) -> None:
    """Let nothing change the exit status while MindSpore lets go of its threads.

    SIGTERM is what MindSpore's handler, which may be in place again, makes of Ctrl-C. Until
    MindSpore is done, a function must be the `handler`: MindSpore may put Python's C handler back,
    and Python then complains of a signal that it was told to ignore.
    """
    for number in NUMBERS:
        signal.signal(number, handler)


def _say(text: str, status: int) -> int:
    with contextlib.suppress(OSError):  # nobody reads it
        print(f"mindres: {text}", file=sys.stderr, flush=True)
    return status


def _prepare_streams() -> None:
    """Make every name printable, and give what the shell has closed (`>&-`) a place to go.

    A closed descriptor would become that of the next opened file, such as a checkpoint, and what
    libraries print would end there.
    """
    for descriptor, name in enumerate(("stdin", "stdout", "stderr")):
        if getattr(sys, name) is None:
            try:
                os.fstat(descriptor)
            except OSError:
                os.open(os.devnull, os.O_RDWR)  # takes the lowest free one
            setattr(sys, name, open(os.devnull, "w" if descriptor else "r", encoding="utf-8"))  # noqa: SIM115
        if descriptor and getattr(getattr(sys, name), "errors", None) == "strict":
            getattr(sys, name).reconfigure(errors="backslashreplace")


def _versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = [f"Python {platform.python_version()}", platform.platform()]
    for name in ("mindres", "mindspore", "numpy"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


def main(arguments=None) -> None:
    """Run a command line and leave the process with its status.

    `arguments` are this process's by default.
    """
    run(lambda: run_command(sys.argv[1:] if arguments is None else arguments))


def run_command(arguments) -> int | None:
    """Run a command line in this process; returns the command's exit status, None for 0."""
    args = build_parser().parse_args(arguments)
    return args.run(args)
