"""Reports after the first epoch how long the network waited for images."""

from __future__ import annotations

import time

from mindspore.train import Callback

from mindres.devices import workers

LEAST_SECONDS = 20  # shorter epochs are not reported
LEAST_SHARE = 0.1  # shorter waits are not reported


class Waiting(Callback):
    """Measures the time between the end of a step and the start of the next one.

    It must be the last callback, so that the time of the others does not count. With data sinking
    the time is not known, and nothing is reported.
    """

    def __init__(self):
        super().__init__()
        self.over = False

    def on_train_epoch_begin(self, run_context):
        self.steps = 0
        self.waited = 0.0
        self.started = self.step_ended = time.monotonic()

    def on_train_step_begin(self, run_context):
        self.waited += time.monotonic() - self.step_ended

    def on_train_step_end(self, run_context):
        self.steps += 1
        self.step_ended = time.monotonic()

    def on_train_epoch_end(self, run_context):
        if self.over or run_context.original_args().get("interrupted"):
            return
        self.over = True
        seconds = self.step_ended - self.started
        if self.steps < 2 or seconds < LEAST_SECONDS or self.waited < LEAST_SHARE * seconds:
            return
        workers.say(
            f"the network waited for images {self.waited / seconds:.0%} of the epoch: more cores, "
            "copies of your own images (cache), or less augmentation would help"
        )
