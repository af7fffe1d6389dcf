"""Ctrl-C and SIGTERM: turned into exceptions, deferred, and kept from MindSpore's own handler.

Whenever MindSpore runs a graph it installs a handler for Ctrl-C and leaves it there. That handler
sends SIGTERM to its own process, which ends a notebook's kernel, and a script with the wrong exit
status. `kept_signal_handlers` puts Python's handler back within a millisecond. A SIGTERM that comes
while MindSpore's is in place is taken for Ctrl-C (`intended`), since the two look the same.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import select
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

NUMBERS = (signal.SIGINT, signal.SIGTERM)
# People press twice: what comes so soon after the first is the same request.
SAME_REQUEST_S = 1.0
POLL_S = 0.001


class Terminated(KeyboardInterrupt):
    """SIGTERM, answered as Ctrl-C is: what is under way has been saved."""


def exception_for(number: int) -> type[KeyboardInterrupt]:
    """The exception that a signal becomes."""
    return Terminated if number == signal.SIGTERM else KeyboardInterrupt


def in_main_thread() -> bool:
    """Whether this thread may install handlers."""
    return threading.current_thread() is threading.main_thread()


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
        raise exception_for(intended(number))

    def ignore_for_a_moment(self) -> None:
        """Ignore what comes within the next second."""
        self.quiet_until = time.monotonic() + SAME_REQUEST_S


@contextlib.contextmanager
def deferred_signals() -> Iterator[None]:
    """Answer Ctrl-C and SIGTERM when this block is done.

    For what must not be cut: half an import of MindSpore makes Python abort, and where MindSpore is
    stopped while it compiles, it leaves files behind.
    """
    if not in_main_thread():
        yield
        return
    with _deferred(_python_handlers()):
        yield


@contextlib.contextmanager
def _deferred(afterwards: dict[int, Any]) -> Iterator[None]:
    """Note the signals of this block, and have the first handled by the handlers `afterwards`."""
    seen = []
    handler = afterwards[signal.SIGINT]
    try:
        for number in NUMBERS:
            signal.signal(number, lambda number, _: seen.append(intended(number, handler)))
        _remember_pythons_handler()
        yield
    finally:
        # A handler may raise as soon as it is installed: Ctrl-C's is the last.
        try:
            signal.signal(signal.SIGTERM, afterwards[signal.SIGTERM])
        finally:
            signal.signal(signal.SIGINT, afterwards[signal.SIGINT])
    if seen:
        _deliver(seen[0])


def _python_handlers() -> dict[int, Any]:
    """What Python has as handlers; the default for those that were not installed by Python."""
    return {number: signal.getsignal(number) or signal.SIG_DFL for number in NUMBERS}


def restore_signal_handlers() -> None:
    """Put Python's handlers back where MindSpore has installed its own."""
    if in_main_thread():
        for number in NUMBERS:
            if (handler := signal.getsignal(number)) is not None:
                signal.signal(number, handler)


def intended(number: int, handler=None) -> int:
    """The signal that was sent: Ctrl-C where SIGTERM is how MindSpore's handler passes it on.

    `handler` is what will answer Ctrl-C; None for what is installed now. Where it is to ignore
    Ctrl-C, as in a job in the background of a script, SIGTERM is SIGTERM and ends the job.
    """
    if number != signal.SIGTERM or _delivering:
        return number
    if (signal.getsignal(signal.SIGINT) if handler is None else handler) == signal.SIG_IGN:
        return number
    if _keeper is None:
        passed_on = _is_foreign(signal.SIGINT)
    else:
        passed_on = _keeper.take_passed_on()
    return signal.SIGINT if passed_on else number


@contextlib.contextmanager
def kept_signal_handlers(answer: Callable[[], None] | None = None) -> Iterator[None]:
    """Keep Python's handlers of Ctrl-C and SIGTERM in place while MindSpore runs graphs.

    `answer` is called, in another thread, as soon as one of them arrives, even while MindSpore is
    at work and Python's handlers must wait. Afterwards the handlers are those of before. Nothing is
    done in other threads than the main one, inside another such block, and where there is no POSIX.
    """
    global _keeper
    if _keeper is not None or _sigaction is None or not in_main_thread():
        yield
        return
    before = _python_handlers()
    try:
        with _deferred({**before, signal.SIGTERM: _SigtermOrCtrlC(before[signal.SIGTERM])}):
            _keeper = _Keeper(answer)
        yield
    finally:
        with _deferred(before):
            if _keeper is not None:
                _keeper.close()
            _keeper = None


class _SigtermOrCtrlC:
    """Handles SIGTERM: by the handler of Ctrl-C where that is what was sent, else as before."""

    def __init__(self, terminate):
        self.terminate = terminate

    def __call__(self, number, frame):
        handler = self.terminate
        if intended(number) == signal.SIGINT:
            number, handler = signal.SIGINT, signal.getsignal(signal.SIGINT)
        if callable(handler):
            handler(number, frame)
        elif handler == signal.SIG_DFL:
            signal.signal(number, handler)
            signal.raise_signal(number)


class _Keeper(threading.Thread):
    """Puts the handlers back that were there when it started, whenever others are installed."""

    def __init__(self, answer):
        super().__init__(name="mindres signal handlers", daemon=True)
        self.answer = answer
        self.handlers = {number: _installed(number) for number in NUMBERS}
        self.put_back_at = 0.0
        # For how long after MindSpore's handler was replaced SIGTERM is taken for Ctrl-C. A
        # training runs a graph every few milliseconds: there most SIGTERMs would be mistaken.
        self.grace = 50 * POLL_S if answer is None else 0.0
        # How many times SIGTERM arrived and was handled, and whether the last was Ctrl-C.
        self.arrived = 0
        self.handled = 0
        self.passed_on = False
        self.inlet, outlet = os.pipe()
        os.set_blocking(self.inlet, False)
        os.set_blocking(outlet, False)
        self.outlet = outlet
        # Python writes the number of each signal there at once, from its C handler.
        self.forward_to = signal.set_wakeup_fd(outlet, warn_on_full_buffer=False)
        self.closing = False
        self.start()

    def run(self):
        while not self.closing:
            arrived = select.select([self.inlet], [], [], POLL_S)[0]
            for number in NUMBERS:
                if _is_foreign(number):
                    self.put_back_at = time.monotonic()
                    _sigaction(int(number), self.handlers[number], None)
            if arrived:
                self._note(os.read(self.inlet, 100))

    def _note(self, numbers: bytes) -> None:
        if self.forward_to >= 0:
            with contextlib.suppress(OSError):
                os.write(self.forward_to, numbers)
        self.arrived += numbers.count(signal.SIGTERM)
        if self.arrived > self.handled:
            self.passed_on = self.passed_on or self._was_foreign_just_now()
        if self.answer is not None and set(numbers) & set(NUMBERS):
            answer, self.answer = self.answer, None
            answer()

    def _was_foreign_just_now(self) -> bool:
        just_now = time.monotonic() - self.put_back_at < self.grace
        return just_now or _is_foreign(signal.SIGINT)

    def take_passed_on(self) -> bool:
        """Whether the SIGTERM that is being handled was Ctrl-C; the next one is judged anew."""
        # This thread may be ahead of the other, which has then nothing left to judge.
        self.handled = max(self.handled + 1, self.arrived)
        passed_on = self.passed_on or self._was_foreign_just_now()
        self.passed_on = False
        return passed_on

    def close(self) -> None:
        self.closing = True
        signal.set_wakeup_fd(self.forward_to)
        self.join()
        os.close(self.inlet)
        os.close(self.outlet)


_keeper: _Keeper | None = None
_delivering = False
_sigaction: Any = ctypes.CDLL(None).sigaction if os.name == "posix" else None
# The address of the C function that Python installs as the handler of every signal.
_pythons_handler: int | None = None


def _deliver(number: int) -> None:
    """Have `number` handled now, as what it is."""
    global _delivering
    _delivering = True
    try:
        handler = signal.getsignal(number)
        if callable(handler):
            handler(number, None)
        else:
            signal.raise_signal(number)
    finally:
        _delivering = False


def _installed(number: int):
    """What the C library has as the handler of a signal: a `struct sigaction`."""
    found = ctypes.create_string_buffer(512)
    _sigaction(int(number), None, found)
    return found


def _address(installed) -> int | None:
    """The address of the handler, which is the first field; None for the default."""
    return ctypes.c_void_p.from_buffer(installed).value


def _is_foreign(number: int) -> bool:
    """Whether the C handler is neither Python's nor the default nor to ignore the signal."""
    if _pythons_handler is None:
        return False
    return _address(_installed(number)) not in (None, int(signal.SIG_IGN), _pythons_handler)


def _remember_pythons_handler() -> None:
    """To be called when Python has just installed its handlers."""
    global _pythons_handler
    for number in NUMBERS:
        if _sigaction is not None and callable(signal.getsignal(number)):
            _pythons_handler = _address(_installed(number))


def _forget_keeper() -> None:
    """A forked process has neither the thread nor the pipe to itself."""
    global _keeper
    if _keeper is not None:
        _keeper = None
        with contextlib.suppress(ValueError):
            signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_keeper)
