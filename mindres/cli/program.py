"""Runs a command or a script: standard streams, signals and exit statuses."""

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

from mindres import errors
from mindres.cli import parser as parsers
from mindres.cli.parser import build_parser
from mindres.errors import UserError, translated
from mindres.signals import NUMBERS, SignalExceptions, Terminated


def run(main: Callable[[], int | None]) -> None:
    """Call `main` and exit with its status.

    The status is 0 for success, 2 for an error that the user can correct, 1 for a defect of this
    package, 130 for Ctrl-C, 143 for SIGTERM, and 141 if the reader of the output has gone.
    """
    parsers.debug = False
    # Matplotlib warns, twice, that it cannot write its folder, and then uses a temporary one.
    logging.getLogger("matplotlib").setLevel(logging.ERROR)
    _prepare_streams()
    signals = SignalExceptions()
    # Exit callbacks run in reverse order: MindSpore's come between these two.
    atexit.register(_ignore_signals, signal.SIG_IGN)
    try:
        with errors.naming_flags():
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
            # The reader has gone (`| head`), or the disk is full: Python would warn at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _status_of(error: Exception, interrupted: bool) -> int:
    """Print `error`, in one line or as a defect with its traceback; returns the exit status."""
    user_error = error if isinstance(error, UserError) else translated(error)
    if parsers.debug or not (user_error or interrupted):
        with contextlib.suppress(OSError):
            traceback.print_exc()
    if user_error:
        return _say(f"error: {user_error.on_command_line()}", 2)
    if interrupted:
        # Libraries turn it into other exceptions: NumPy's import into an ImportError.
        return _say("interrupted", 130)
    return _say(
        "this is a defect of mindres: please report it with the lines above and these: "
        f"{_versions()}",
        1,
    )


def _ignore_signals(handler) -> None:
    """Keep signals from changing the exit status while MindSpore ends its threads.

    SIGTERM is included because MindSpore's handler, which may be in place again, turns Ctrl-C into
    it. Until MindSpore is done, `handler` must be a function: MindSpore may put Python's C handler
    back, and Python then reports an error for a signal that it was told to ignore.
    """
    for number in NUMBERS:
        signal.signal(number, handler)


def _say(text: str, status: int) -> int:
    with contextlib.suppress(OSError):  # standard error is closed
        print(f"mindres: {text}", file=sys.stderr, flush=True)
    return status


def _prepare_streams() -> None:
    """Make every name printable, and open streams that the shell has closed (`>&-`).

    The next file to be opened, such as a checkpoint, would otherwise get the closed descriptor,
    and the output of libraries would end up in it.
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
    """Run a command line, by default this process's, and exit with its status."""
    run(lambda: run_command(sys.argv[1:] if arguments is None else arguments))


def run_command(arguments) -> int | None:
    """Run a command line and return the command's exit status, None for 0."""
    args = build_parser().parse_args(arguments)
    with errors.naming_flags():
        return args.run(args)
