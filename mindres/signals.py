"""Ctrl-C and SIGTERM: turned into exceptions, deferred, and given back to Python."""

from __future__ import annotations

import contextlib
import signal
import threading


class Terminated(KeyboardInterrupt):
    """SIGTERM, answered as Ctrl-C is: what is under way has been saved."""


class _Signals:
    """Turns Ctrl-C and SIGTERM into exceptions, so that what is half written is cleared away, and remembers them.

    MindSpore's compiler, which has its own handler while it works, turns Ctrl-C into SIGTERM.
    """

    def __init__(self):
        self.seen = False
        if threading.current_thread() is threading.main_thread():
            for number, usual in (
                (signal.SIGINT, signal.default_int_handler),
                (signal.SIGTERM, signal.SIG_DFL),
            ):
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
    before = {
        number: signal.signal(number, lambda *signal: seen.append(signal))
        for number in (signal.SIGINT, signal.SIGTERM)
    }
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    for number, _ in seen[:1]:
        signal.raise_signal(number)


def listen() -> None:
    """Give Python its signals back: MindSpore puts handlers that end the process in place with every data iterator."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.getsignal(number))
