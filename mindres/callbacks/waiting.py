"""Says after the first epoch what part of it the network waited for images."""

from __future__ import annotations

import time

from mindspore.train import Callback

from mindres.devices import workers

LEAST_SECONDS = 20  # a shorter epoch need not be faster
LEAST_SHARE = 0.1  # a shorter wait is not worth a line


class Waiting(Callback):
    """Times what goes by between the end of a step and the beginning of the next one.

    It should be the last of the callbacks, so that their time is no waiting. Where the device takes
    the images of an epoch by itself nothing is known, and nothing said.
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
            "image files no larger than the training needs, or less augmentation would help"
        )
