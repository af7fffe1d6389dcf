"""Ends training after the step when Ctrl-C or SIGTERM arrives."""

from __future__ import annotations

import signal
import threading

from mindspore.train import Callback

from mindres.devices import workers
from mindres.signals import Terminated


class Interrupt(Callback):
    """Ctrl-C or SIGTERM ends the step, saves, and then interrupts; a second one interrupts at once.

    Where there are several workers it interrupts at once too: they would not all stop at the same
    step.
    """

    def __init__(self, state):
        super().__init__()
        self.state, self.requested = state, None
        self.listens = threading.current_thread() is threading.main_thread() and workers.size() == 1
        self.previous = {
            number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)
        }

    def on_train_step_begin(self, run_context):
        # Again and again: MindSpore puts handlers that end the process in their place with every
        # data iterator.
        for number in self.previous if self.listens else ():
            signal.signal(number, self._request)

    on_train_begin = on_eval_step_begin = on_eval_end = on_train_step_begin

    def close(self):
        """Give the signals back to whoever had them."""
        for number, handler in self.previous.items() if self.listens else ():
            signal.signal(number, handler)

    def _request(self, number, _):
        again, self.requested = (
            self.requested,
            Terminated if number == signal.SIGTERM else KeyboardInterrupt,
        )
        if again:
            raise self.requested

    def on_train_step_end(self, run_context):
        if self.requested:
            # Where data sinks the epoch is over, and is validated and counted like any other.
            run_context.original_args()["interrupted"] = not run_context.original_args().get(
                "dataset_sink_mode"
            )
            run_context.request_stop()

    def on_train_end(self, run_context):
        if self.requested:
            if self.state.folder is not None:
                print(
                    f"\ninterrupted in epoch {self.state.epoch + 1} after step {self.state.step}: "
                    f"saved in {self.state.last}; the same command with --resume goes on",
                    flush=True,
                )
            raise self.requested
