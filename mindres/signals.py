"""Ctrl-C and SIGTERM: turned into exceptions, deferred, and told apart while MindSpore runs.

When MindSpore runs a graph, it installs a handler for Ctrl-C and leaves it in place. That handler
sends SIGTERM to its own process, which would kill a notebook's kernel and give a script the wrong
exit status. A SIGTERM that the process sent itself is therefore treated as Ctrl-C. Only a handler
in C can see the sender: the native operators have one (`native/cpp/signals.cc`). Without it, every
SIGTERM that arrives while MindSpore's handler is in place is treated as Ctrl-C.
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
# People press Ctrl-C twice: a second signal within this time is the same request.
SAME_REQUEST_S = 1.0
# Installs the C handler in front of Python's; None if the native operators are not loaded.
_see_senders: Callable[[], object] | None = None
# The address of the C function that Python installs as the handler of every signal.
_pythons_handler: int | None = None
_sigaction: Any = ctypes.CDLL(None).sigaction if os.name == "posix" else None


class Terminated(KeyboardInterrupt):
    """SIGTERM, handled as Ctrl-C is: work in progress has been saved."""


def exception_for(number: int) -> type[KeyboardInterrupt]:
    """The exception that a signal becomes."""
    return Terminated if number == signal.SIGTERM else KeyboardInterrupt


def in_main_thread() -> bool:
    """Whether this thread may install handlers."""
    return threading.current_thread() is threading.main_thread()


def ctrl_c_is_ignored() -> bool:
    """Whether Ctrl-C is ignored, as in the background jobs of a shell script."""
    present = signal.getsignal(signal.SIGINT)
    return present == signal.SIG_IGN or getattr(present, "ignores_ctrl_c", False)


class SignalExceptions:
    """Turns Ctrl-C and SIGTERM into exceptions, so that `finally` removes partial files.

    Handlers other than the default ones stay. `seen` is whether a signal has arrived.
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
        """Ignore the signals of the next second."""
        self.quiet_until = time.monotonic() + SAME_REQUEST_S


@contextlib.contextmanager
def signal_handler(handle: Callable[[int, Any], object] | None = None) -> Iterator[None]:
    """Handle Ctrl-C and SIGTERM by `handle(number, frame)` in this block, whatever MindSpore does.

    By default the present handlers stay in charge. They are restored at the end. An ignored Ctrl-C
    stays ignored. In threads other than the main one this does nothing.
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
    """Defer Ctrl-C and SIGTERM to the end of this block.

    This is for work that must not be interrupted: Python aborts if the import of MindSpore is cut
    short, and MindSpore leaves files behind if it is stopped while it compiles.
    """
    seen: list[int] = []
    with signal_handler(lambda number, _: seen.append(number)):
        yield
    if seen:
        _call(signal.getsignal(seen[0]), seen[0])


def use_native_handler(see_senders: Callable[[], object]) -> None:
    """Have `see_senders` install the C handler in front of Python's from now on."""
    global _see_senders
    _see_senders = see_senders
    if isinstance(signal.getsignal(signal.SIGTERM), _Handler):
        see_senders()


class _Handler:
    """A handler of Ctrl-C and SIGTERM that tells them apart, and calls `handle` or `before`."""

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
    """Handle a signal by `handler`, a function or one of `signal.Handlers`."""
    if callable(handler):
        handler(number, frame)
    elif handler == signal.SIG_DFL:
        signal.signal(number, handler)
        signal.raise_signal(number)


def _intended(number: int) -> int:
    """The signal that was meant: Ctrl-C if MindSpore's handler turned it into SIGTERM.

    The C handler has told them apart already. If Ctrl-C is ignored, SIGTERM is SIGTERM.
    """
    if number != signal.SIGTERM or ctrl_c_is_ignored():
        return number
    sender_unknown = _pythons_handler is not None and _address(signal.SIGTERM) == _pythons_handler
    passed_on = sender_unknown and _address(signal.SIGINT) not in (None, _pythons_handler)
    return signal.SIGINT if passed_on else number


def _install(handlers: dict[int, Any]) -> None:
    """Install Python handlers, Ctrl-C's first: MindSpore's then no longer sends SIGTERM."""
    try:
        _install_one(signal.SIGINT, handlers[signal.SIGINT])
    finally:
        _install_one(signal.SIGTERM, handlers[signal.SIGTERM])


def _install_one(number: signal.Signals, handler) -> None:
    global _pythons_handler
    try:
        signal.signal(number, handler)
    except KeyboardInterrupt:  # raised by the previous handler; nothing was installed
        signal.signal(number, handler)
        raise
    finally:
        if number == signal.SIGTERM and callable(handler) and _sigaction is not None:
            _pythons_handler = _address(number)
            if _see_senders is not None:
                _see_senders()


def _address(number: int) -> int | None:
    """The address of the C library's handler of a signal; None for the default."""
    found = ctypes.create_string_buffer(512)  # a `struct sigaction`: the handler comes first
    _sigaction(int(number), None, found)
    return ctypes.c_void_p.from_buffer(found).value
