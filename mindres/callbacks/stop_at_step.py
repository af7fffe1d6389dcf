"""Stops training after a number of steps."""

from __future__ import annotations

from mindspore.train import Callback


class StopAtStep(Callback):
    """Stops training after `max_steps` steps; the epoch is still validated."""

    def __init__(self, max_steps):
        super().__init__()
        self.left = max_steps

    def on_train_step_end(self, run_context):
        self.left -= 1
        if self.left <= 0:
            run_context.request_stop()
