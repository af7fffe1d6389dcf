"""Ctrl-C and SIGTERM: turned into exceptions, deferred, and told apart while MindSpore runs.

Whenever MindSpore runs a graph it installs a handler for Ctrl-C and leaves it there. That handler
sends SIGTERM to its own process, which would end a notebook's kernel, and a script with the wrong
exit status. So a SIGTERM from the process itself is Ctrl-C. Only a handler in C learns who sent it:
the native operators bring one (`native/cpp/signals.cc`). Without them, every SIGTERM that comes
while MindSpore's handler is in place is taken for Ctrl-C.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

NUMBERS = (signal.SIGINT, signal.SIGTERM)
# People press twice: what comes so soon after the first is the same request.
SAME_REQUEST_S = 1.0
# Puts the handler in C before Python's; None where the native operators have not been loaded.
_see_senders: Callable[[], object] | None = None
# The address of the C function that Python installs as the handler of every signal.
_pythons_handler: int | None = None
_sigaction: Any = ctypes.CDLL(None).sigaction if os.name == "posix" else None


class Terminated(KeyboardInterrupt):
    """SIGTERM, answered as Ctrl-C is: what is under way has been saved."""


def exception_for(number: int) -> type[KeyboardInterrupt]:
    """The exception that a signal becomes."""
    return Terminated if number == signal.SIGTERM else KeyboardInterrupt


def in_main_thread() -> bool:
    """Whether this thread may install handlers."""
    return threading.current_thread() is threading.main_thread()


def ctrl_c_is_ignored() -> bool:
    """Whether Ctrl-C is to be ignored, as in the background of a shell script."""
    present = signal.getsignal(signal.SIGINT)
    return present == signal.SIG_IGN or getattr(present, "ignores_ctrl_c", False)


class SignalExceptions:
    """Turns Ctrl-C and SIGTERM into exceptions, so that what is half written is cleared away.

    Handlers that are not the usual ones stay. `seen` is whether a signal came.
    """

    def __init__(self):
        self.seen = False
        self.quiet_until = 0.0
        usual = {signal.SIGINT: signal.default_int_handler, signal.SIGTERM: signal.SIG_DFL}
        for number, handler in usual.items() if in_main_thread() else ():
            present = signal.getsignal(number)
            if present is handler or isinstance(present, SignalExceptions):
                signal.signal(number, self)

    def __call__(self, number, _):
        if time.monotonic() < self.quiet_until:
            return
        self.seen = True
        self.ignore_for_a_moment()
        raise exception_for(_intended(number))

    def ignore_for_a_moment(self) -> None:
        """Ignore what comes within the next second."""
        self.quiet_until = time.monotonic() + SAME_REQUEST_S


@contextlib.contextmanager
def signal_handler(handle: Callable[[int, Any], object] | None = None) -> Iterator[None]:
    """In this block `handle(number, frame)` answers Ctrl-C and SIGTERM, despite MindSpore.

    By default those answer that did before. Afterwards these are back. Ctrl-C stays ignored where
    it is. In other threads than the main one nothing is changed.
    """
    if not in_main_thread():
        yield
        return
    before: dict[int, Any] = {n: signal.getsignal(n) or signal.SIG_DFL for n in NUMBERS}
    try:
        handler = _Handler(before, handle)
        _install({number: handler for number in NUMBERS})
        yield
    finally:
        _install(before)


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Answer Ctrl-C and SIGTERM when this block is done.

    For what must not be cut: half an import of MindSpore makes Python abort, and where MindSpore is
    stopped while it compiles, it leaves files behind.
    """
    seen: list[int] = []
    with signal_handler(lambda number, _: seen.append(number)):
        yield
    if seen:
        _call(signal.getsignal(seen[0]), seen[0])


def use_native_handler(see_senders: Callable[[], object]) -> None:
    """From now on have `see_senders` put the handler in C before Python's."""
    global _see_senders
    _see_senders = see_senders
    if isinstance(signal.getsignal(signal.SIGTERM), _Handler):
        see_senders()


class _Handler:
    """Handles Ctrl-C and SIGTERM, as what they are, by `handle` or as `before`."""

    def __init__(self, before: dict[int, Any], handle):
        self.before = before
        self.handle = handle
        self.ignores_ctrl_c = ctrl_c_is_ignored()

    def __call__(self, number, frame):
        number = _intended(number)
        if number == signal.SIGINT and self.ignores_ctrl_c:
            return
        if self.handle:
            self.handle(number, frame)
        else:
            _call(self.before[number], number, frame)


def _call(handler, number: int, frame=None) -> None:
    """Have a signal handled by `handler`, which may be none of Python's."""
    if callable(handler):
        handler(number, frame)
    elif handler == signal.SIG_DFL:
        signal.signal(number, handler)
        signal.raise_signal(number)


def _intended(number: int) -> int:
    """The signal that was sent: Ctrl-C where SIGTERM is how MindSpore's handler passes it on.

    The handler in C has told them apart already. Where Ctrl-C is ignored, SIGTERM is SIGTERM.
    """
    if number != signal.SIGTERM or ctrl_c_is_ignored():
        return number
    untold = _pythons_handler is not None and _address(signal.SIGTERM) == _pythons_handler
    passed_on = untold and _address(signal.SIGINT) not in (None, _pythons_handler)
    return signal.SIGINT if passed_on else number


def _install(handlers: dict[int, Any]) -> None:
    """Install handlers of Python, Ctrl-C's first: then MindSpore's sends no SIGTERM any more."""
    try:
        _install_one(signal.SIGINT, handlers[signal.SIGINT])
    finally:
        _install_one(signal.SIGTERM, handlers[signal.SIGTERM])


def _install_one(number: signal.Signals, handler) -> None:
    global _pythons_handler
    try:
        signal.signal(number, handler)
    except KeyboardInterrupt:  # raised by the handler of before, and then nothing is installed
        signal.signal(number, handler)
        raise
    finally:
        if number == signal.SIGTERM and callable(handler) and _sigaction is not None:
            _pythons_handler = _address(number)
            if _see_senders is not None:
                _see_senders()


def _address(number: int) -> int | None:
    """The address of the handler that the C library has for a signal; None for the default."""
    found = ctypes.create_string_buffer(512)  # a `struct sigaction`, whose first field it is
    _sigaction(int(number), None, found)
    return ctypes.c_void_p.from_buffer(found).value
