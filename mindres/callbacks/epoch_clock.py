"""Times the epochs of a run, and keeps the losses of their steps."""

from __future__ import annotations

import time

from mindres.callbacks.step_state import loss_of, steps_at_once
from mindres.devices import workers


class EpochClock:
    """The losses, speed and duration of the current epoch, and the time of all epochs so far.

    Attributes:
        losses_before: the losses of the current epoch's steps before an interruption.
    """

    def __init__(self) -> None:
        self.losses_before: list[float] = []
        self.epochs_done = 0
        self.started: float | None = None

    def start_training(self) -> None:
        """Start the clock, unless it runs already."""
        if self.started is None:
            self.started = time.monotonic()

    def start_epoch(self) -> None:
        """Start an epoch."""
        self.outputs: list = []
        self.first_step_ended: float | None = None
        self.epoch_started = time.monotonic()

    def end_step(self, outputs) -> None:
        """Record the outputs of a step."""
        # They are converted at the end of the epoch, since reading a loss stalls an accelerator.
        self.outputs.append(outputs)
        if self.first_step_ended is None:
            self.first_step_ended = time.monotonic()

    def end_epoch(self) -> float:
        """Count the epoch; returns its duration in seconds."""
        self.epochs_done += 1
        return time.monotonic() - self.epoch_started

    def losses(self) -> list[float]:
        """The losses of the current epoch's steps so far."""
        return self.losses_before + [loss_of(outputs) for outputs in self.outputs]

    def images_per_second(self, state) -> float:
        """The speed of this epoch's steps without the first one, which waits for the compiler."""
        ended = time.monotonic()
        steps = len(self.outputs) - 1
        seconds = ended - (self.first_step_ended or ended)
        if not steps:
            steps = steps_at_once(state)
            seconds = ended - self.epoch_started
        return steps * state.train_dataset.get_batch_size() * workers.size() / seconds

    def seconds_left(self, epochs: int) -> float:
        """The estimated time of `epochs` more epochs in seconds."""
        now = time.monotonic()
        return (now - (self.started or now)) / self.epochs_done * epochs
