"""The learning-rate range test (arXiv:1506.01186), which also times training steps."""

from __future__ import annotations

import math
import time
from dataclasses import dataclass

import mindspore
import numpy as np

from mindres.callbacks.step_state import loss_of
from mindres.data.pipeline import batches
from mindres.evaluation.inference import in_mode
from mindres.native.accelerate import accelerated
from mindres.signals import deferred_signals
from mindres.training import optimizers
from mindres.training.step import training_step

LOWEST, HIGHEST = 1e-5, 1.0
MINUTE = 60.0  # seconds
STEPS = 40
TIMED = 4  # steps after which the time of all is known
DIVERGED = 4  # times the lowest loss at which the test ends
SMOOTHING = 0.8  # share of the mean of the losses so far
FIRST = 5  # steps whose mean is the loss at the start
CLEARLY = 0.95  # of the loss at the start
BELOW_LOWEST = 10  # the suggested rate is that of the lowest loss, divided by this


@dataclass
class RangeTest:
    """The result of a range test.

    rates, losses: the learning rate and the training loss of each step.
    complete: whether the test ran to the highest rate or until the loss diverged.
    first_seconds: the time of the first step, which waits for the compiler.
    step_seconds: the median time of the others, including the preparation of their images.
    """

    rates: list[float]
    losses: list[float]
    complete: bool
    first_seconds: float
    step_seconds: float

    def smoothed(self) -> np.ndarray:
        """The running mean of the losses, corrected for its start at zero."""
        mean = 0.0
        found = []
        for step, loss in enumerate(self.losses, 1):
            mean = SMOOTHING * mean + (1 - SMOOTHING) * loss
            found.append(mean / (1 - SMOOTHING**step))
        return np.array(found)

    @property
    def falls(self) -> bool:
        """Whether the loss fell clearly; otherwise where it is lowest is a matter of chance."""
        return self.smoothed().min() < CLEARLY * float(np.mean(self.losses[:FIRST]))

    @property
    def suggestion(self) -> float:
        """A tenth of the learning rate with the lowest smoothed loss, rounded to one digit."""
        rate = self.rates[int(self.smoothed().argmin())] / BELOW_LOWEST
        digits = -math.floor(math.log10(rate))
        return round(rate, digits)


def range_test(net, data, recipe, seconds: float) -> RangeTest:
    """Train `net` with a learning rate that rises with each step, and restore its weights.

    Args:
        net: a network of this package.
        data: an `ImageDataset` to train on.
        recipe: the recipe with the optimizer and its options.
        seconds: if all steps would take longer, the test stops after `TIMED` of them, or earlier if
            even these would.
    """
    before = [(each, each.value().copy()) for each in net.get_parameters()]
    rates = np.geomspace(LOWEST, HIGHEST, STEPS).tolist()
    step = training_step(net, optimizers.make_optimizer(net, recipe, rates), recipe)
    step.set_train()
    losses: list[float] = []
    ends: list[float] = []
    started = time.monotonic()
    try:
        with in_mode(mindspore.GRAPH_MODE), accelerated(step):
            for images, labels in _repeated(data):
                with deferred_signals():  # MindSpore leaves files behind if its compiler is stopped
                    losses.append(loss_of(step(images, labels)))
                ends.append(time.monotonic())
                if len(losses) == 1:  # which waited for the compiler
                    continue
                complete = len(losses) == STEPS or not losses[-1] < DIVERGED * min(losses)
                each = float(np.median(np.diff(ends)))
                no_time = each * STEPS > seconds and len(losses) >= TIMED
                if complete or no_time or ends[-1] - ends[0] + each > seconds:
                    break
    finally:
        for parameter, value in before:
            parameter.set_data(value)
    finite = [loss if math.isfinite(loss) else 1e9 for loss in losses]
    between = float(np.median(np.diff(ends)))  # includes the preparation of images
    return RangeTest(rates[: len(losses)], finite, complete, ends[0] - started, between)


def _repeated(data):
    """Batches of (images, labels), repeated for ever."""
    while True:
        for images, labels in batches(data).create_tuple_iterator(num_epochs=1):
            yield images, mindspore.Tensor(labels)
