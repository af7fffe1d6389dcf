"""Stops training when its time is over."""

from __future__ import annotations

import time

from mindspore.train import Callback

from mindres.devices import workers


class StopAtTime(Callback):
    """Stops training `seconds` from now; the epoch is still validated."""

    def __init__(self, seconds: float):
        super().__init__()
        self.deadline = time.monotonic() + seconds

    def on_train_step_end(self, run_context):
        if time.monotonic() > self.deadline and not run_context.get_stop_requested():
            workers.say("stopping: the time is over")
            run_context.request_stop()
