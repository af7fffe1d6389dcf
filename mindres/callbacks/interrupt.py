"""Ends training after the step when Ctrl-C or SIGTERM arrives."""

from __future__ import annotations

import contextlib
import time

from mindspore.train import Callback

from mindres import signals
from mindres.callbacks.wakeup import answered_at_once
from mindres.devices import workers


class Interrupt(Callback):
    """Ctrl-C or SIGTERM ends the step, saves, and then interrupts.

    A second one, a second later or more, also cuts a validation short, and then the epoch's
    steps are lost. Nothing cuts a step short: where MindSpore is stopped while it compiles, it
    leaves files behind. With several workers all of this is left to Python's handlers, since the
    workers would not all stop at the same step.
    """

    def __init__(self, state):
        super().__init__()
        self.state = state
        self.requested = None
        self.requested_at = 0.0
        self.insisted = False
        self.has_trained = False
        self.unit = "step"
        self.listens = signals.in_main_thread() and workers.size() == 1

    @contextlib.contextmanager
    def listening(self):
        """In this block the signals come here; afterwards to whoever had them."""
        if not self.listens:
            yield
            return
        with answered_at_once(self._answer), signals.signal_handler(self._request):
            yield

    def _answer(self) -> None:
        saving = ", saving" if self.state.folder is not None else ""
        with contextlib.suppress(OSError, ValueError):  # nobody reads it
            print(f"\nstopping after this {self.unit}{saving}", flush=True)

    def _request(self, number, _):
        if self.requested:
            same = time.monotonic() - self.requested_at < signals.SAME_REQUEST_S
            self.insisted = self.insisted or not same
        else:
            self.requested = signals.exception_for(number)
            self.requested_at = time.monotonic()

    def on_train_begin(self, run_context):
        sinks = run_context.original_args().get("dataset_sink_mode")
        self.unit = "epoch" if sinks else "step"

    def on_train_step_begin(self, run_context):
        if self.requested and not self.has_trained:
            raise self.requested

    def on_eval_step_begin(self, run_context):
        if self.insisted:
            raise self.requested

    def on_train_step_end(self, run_context):
        self.has_trained = True
        if self.requested:
            # Where data sinks the epoch is over, and is validated and counted like any other.
            state = run_context.original_args()
            state["interrupted"] = not state.get("dataset_sink_mode")
            run_context.request_stop()

    def on_train_end(self, run_context):
        if not self.requested:
            return
        if self.state.folder is not None:
            print(
                f"\ninterrupted in epoch {self.state.epoch + 1} after step {self.state.step}: "
                f"saved in {self.state.last}; the same command with --resume goes on",
                flush=True,
            )
        raise self.requested
