"""Times the epochs of a training, and keeps the losses of their steps."""

from __future__ import annotations

import time

from mindres.callbacks.step_state import loss_of, steps_at_once
from mindres.devices import workers


class EpochClock:
    """The losses, the speed and the duration of the epoch that is under way, and of all so far.

    Attributes:
        losses_before: the losses of this epoch's steps that ran before an interruption.
    """

    def __init__(self) -> None:
        self.losses_before: list[float] = []
        self.epochs_done = 0
        self.started: float | None = None

    def start_training(self) -> None:
        """Note the time, unless the training has started before."""
        if self.started is None:
            self.started = time.monotonic()

    def start_epoch(self) -> None:
        """Begin an epoch."""
        self.outputs: list = []
        self.first_step_ended: float | None = None
        self.epoch_started = time.monotonic()

    def end_step(self, outputs) -> None:
        """Note a step by what it gave."""
        # Converted at the end of the epoch: a loss that is read makes an accelerator wait.
        self.outputs.append(outputs)
        if self.first_step_ended is None:
            self.first_step_ended = time.monotonic()

    def end_epoch(self) -> float:
        """Count the epoch, and return how many seconds it took."""
        self.epochs_done += 1
        return time.monotonic() - self.epoch_started

    def losses(self) -> list[float]:
        """The losses of this epoch's steps so far."""
        return self.losses_before + [loss_of(outputs) for outputs in self.outputs]

    def images_per_second(self, state) -> float:
        """The speed of this epoch's steps but for the first one, which waits for the compiler."""
        ended = time.monotonic()
        steps = len(self.outputs) - 1
        seconds = ended - (self.first_step_ended or ended)
        if not steps:
            steps = steps_at_once(state)
            seconds = ended - self.epoch_started
        return steps * state.train_dataset.get_batch_size() * workers.size() / seconds

    def seconds_left(self, epochs: int) -> float:
        """How long `epochs` more epochs will take."""
        now = time.monotonic()
        return (now - (self.started or now)) / self.epochs_done * epochs
