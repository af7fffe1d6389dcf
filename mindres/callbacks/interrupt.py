"""Stops training after the current step when Ctrl-C or SIGTERM arrives."""

from __future__ import annotations

import contextlib
import time

from mindspore.train import Callback

from mindres import signals
from mindres.callbacks.wakeup import answered_at_once
from mindres.devices import workers


class Interrupt(Callback):
    """After Ctrl-C or SIGTERM, finishes the step, saves, and raises the signal's exception.

    A second signal, at least a second later, also interrupts a validation, and then the epoch's
    steps are lost. Steps are never interrupted, because MindSpore leaves files behind if it is
    stopped while it compiles. With several workers Python's handlers stay in charge, since the
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
        """Handle the signals in this block."""
        if not self.listens:
            yield
            return
        with answered_at_once(self._answer), signals.signal_handler(self._request):
            yield

    def _answer(self) -> None:
        saving = ", saving" if self.state.folder is not None else ""
        with contextlib.suppress(OSError, ValueError):  # standard output is closed
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
            # An epoch that is over is validated and counted like any other; with data sinking it
            # always is.
            state = run_context.original_args()
            over = state.get("dataset_sink_mode") or state.cur_step_num >= state.batch_num
            state["interrupted"] = not over
            run_context.request_stop()

    def on_train_end(self, run_context):
        if not self.requested:
            return
        if self.state.folder is not None:
            workers.say(
                f"\ninterrupted in epoch {self.state.epoch + 1} after step {self.state.step}: "
                f"saved in {self.state.last}; run it again with `resume` to continue"
            )
        raise self.requested
