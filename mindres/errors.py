"""What a user can put right, and the one way to an exit status of 2.

Every mistake a user can correct is raised as `UserError`. `run` turns it into one line on standard
error, `mindres: error: ...`, that says what is wrong, where, and what to do. So it does with what only the
system or MindSpore can notice: memory, disks, images that change under a running job. Anything else is a
defect of this package and keeps its traceback. `--debug` shows every traceback.
"""

from __future__ import annotations

import argparse
import atexit
import contextlib
import os
import platform
import re
import signal
import sys
import threading
import traceback
from collections.abc import Callable

_debug = False


class UserError(Exception):
    """A mistake that the user can put right; its message is the whole explanation."""

    def __str__(self) -> str:
        line = " ".join(super().__str__().split())
        # It may quote a hostile file, which could speak to the terminal.
        return line if line.isprintable() else "".join(c if c.isprintable() else ascii(c)[1:-1] for c in line)


class Terminated(KeyboardInterrupt):
    """SIGTERM, answered as Ctrl-C is: what is under way has been saved."""


class _Debug(argparse.Action):
    def __call__(self, parser, namespace, values, option_string=None):
        global _debug
        _debug = True


class ArgumentParser(argparse.ArgumentParser):
    """argparse with this package's error line, its help layout, `--debug`, and no abbreviated flags."""

    def __init__(self, *args, **kwargs):
        kwargs.setdefault("formatter_class", argparse.RawDescriptionHelpFormatter)
        kwargs.setdefault("allow_abbrev", False)
        super().__init__(*args, **kwargs)
        self.add_argument("--debug", action=_Debug, nargs=0, help="show where in the program an error came from")

    def error(self, message: str):
        raise UserError(f"{message} (see {self.prog} --help)")


def run(main: Callable[[], int | None]) -> None:
    """Call `main` and leave the process with its status.

    0; 2 for what the user can put right; 1 for a defect of this package; 130 for Ctrl-C; 143 for
    SIGTERM; 141 where the reader has gone.
    """
    global _debug
    _debug = False
    _prepare_streams()
    signals = _Signals()
    try:
        status = main() or 0
        sys.stdout.flush()
    except KeyboardInterrupt as interrupt:
        terminated = isinstance(interrupt, Terminated)
        status = _say("terminated" if terminated else "interrupted", 143 if terminated else 130)
        # While MindSpore lets go of its threads, a second Ctrl-C has nothing left to interrupt.
        atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    except BrokenPipeError:
        status = 141
    except Exception as error:
        told = error if isinstance(error, UserError) else translated(error)
        if _debug or not (told or signals.seen):
            with contextlib.suppress(OSError):
                traceback.print_exc()
        if told:
            status = _say(f"error: {told}", 2)
        elif signals.seen:  # libraries make other exceptions of it, NumPy an ImportError while it is imported
            status = _say("interrupted", 130)
        else:
            status = _say("this is a defect of mindres: please report it with the lines above and these: "
                          f"{_versions()}", 1)
    if status:
        try:
            sys.stdout.flush()
        except OSError:
            # The reader has gone (`| head`), or the disk is full: Python would complain once more at exit.
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    sys.exit(status)


def _say(text: str, status: int) -> int:
    with contextlib.suppress(OSError):  # nobody reads it
        print(f"mindres: {text}", file=sys.stderr, flush=True)
    return status


class _Signals:
    """Turns Ctrl-C and SIGTERM into exceptions, so that what is half written is cleared away, and remembers them.

    MindSpore's compiler, which has its own handler while it works, turns Ctrl-C into SIGTERM.
    """

    def __init__(self):
        self.seen = False
        if threading.current_thread() is threading.main_thread():
            for number, usual in ((signal.SIGINT, signal.default_int_handler), (signal.SIGTERM, signal.SIG_DFL)):
                if signal.getsignal(number) is usual:
                    signal.signal(number, self)

    def __call__(self, number, _):
        self.seen = True
        raise Terminated if number == signal.SIGTERM else KeyboardInterrupt


@contextlib.contextmanager
def interrupted_later():
    """Answer Ctrl-C and SIGTERM when this block is done: half an import of MindSpore makes Python abort."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    seen = []
    before = {number: signal.signal(number, lambda *signal: seen.append(signal))
              for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number, _ in seen[:1]:
        signal.raise_signal(number)


def _prepare_streams() -> None:
    """Make every name printable, and give what the shell has closed (`>&-`) a place to go.

    A closed descriptor would be the next opened file's, and what libraries print would end in a checkpoint.
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


def listen() -> None:
    """Give Python its signals back: MindSpore puts handlers that end the process in place with every data iterator."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.getsignal(number))


def translated(error: Exception) -> UserError | None:
    """What a user can do about an error of the system or of MindSpore; None where that is nothing."""
    text = str(error)
    if isinstance(error, MemoryError) or NO_MEMORY.search(text):
        return UserError("the memory is not enough: lower --batch_size or --resize, or end other programs")
    if isinstance(error, OSError) and error.strerror:
        where = f"{os.fsdecode(error.filename)}: " if isinstance(error.filename, (str, bytes)) else ""
        return UserError(f"{where}{error.strerror}")
    if "Dataset Pipeline Error Message" in text:
        reason = re.search(r"\[ERROR\] (.*)", text)
        return UserError(f"the dataset cannot be read: {reason[1] if reason else text.splitlines()[0]}; if its files "
                         "changed, start again")
    return None


# As MindSpore, its GPU plug-in and CANN say it.
NO_MEMORY = re.compile(r"(alloc|malloc)\w*( \w+){0,2} fail|out of memory|memory (is )?(not|isn't) enough|bad_alloc",
                       re.IGNORECASE)


def _versions() -> str:
    from importlib.metadata import PackageNotFoundError, version

    found = [f"Python {platform.python_version()}", platform.platform()]
    for name in ("mindres", "mindspore", "numpy"):
        try:
            found.append(f"{name} {version(name)}")
        except PackageNotFoundError:
            found.append(f"{name} not installed")
    return ", ".join(found)


def positive_int(text: str) -> int:
    """An argparse type: a whole number of at least 1."""
    return _number(text, int, lambda n: n >= 1, "a whole number of at least 1")


def non_negative_int(text: str) -> int:
    """An argparse type: a whole number of at least 0."""
    return _number(text, int, lambda n: n >= 0, "a whole number of at least 0")


def _number(text, kind, accept, wanted):
    try:
        value = kind(text)
        if accept(value):
            return value
    except ValueError:
        pass
    raise argparse.ArgumentTypeError(f"must be {wanted}, not {text!r}")
