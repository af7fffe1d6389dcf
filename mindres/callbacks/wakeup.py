"""Reacts to a signal at once, in a thread, while the main thread is in MindSpore."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator

from mindres.signals import NUMBERS, ctrl_c_is_ignored

CLOSE = b"\0"  # not the number of a signal


@contextlib.contextmanager
def answered_at_once(answer: Callable[[], object]) -> Iterator[None]:
    """Call `answer`, once and in another thread, when Ctrl-C or SIGTERM arrives in this block.

    Python's own handlers wait until the main thread returns from MindSpore.
    """
    inlet, outlet = os.pipe()
    os.set_blocking(outlet, False)
    # Python's C handler writes the number of each signal to this pipe.
    before = signal.set_wakeup_fd(outlet, warn_on_full_buffer=False)
    _open.add(outlet)
    numbers = {n for n in NUMBERS if n != signal.SIGINT or not ctrl_c_is_ignored()}
    thread = threading.Thread(target=_listen, args=(inlet, numbers, answer, before), daemon=True)
    thread.start()
    try:
        yield
    finally:
        signal.set_wakeup_fd(before)
        _open.discard(outlet)
        os.write(outlet, CLOSE)
        thread.join()
        os.close(inlet)
        os.close(outlet)


def _listen(inlet: int, numbers: set, answer: Callable[[], object], forward_to: int) -> None:
    """Forward signals to the previous descriptor, and answer the first one in `numbers`."""
    answered = False
    while (number := os.read(inlet, 1)) != CLOSE:
        if forward_to >= 0:
            with contextlib.suppress(OSError):
                os.write(forward_to, number)
        if not answered and number[0] in numbers:
            answered = True
            answer()


_open: set[int] = set()


def _forget() -> None:
    """Keep a forked process from writing to its parent's pipe."""
    if _open:
        _open.clear()
        signal.set_wakeup_fd(-1)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
