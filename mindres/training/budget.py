"""What a time is enough for: training the whole network, its last stages, or its classifier."""

from __future__ import annotations

import time
from dataclasses import dataclass

import mindspore
import numpy as np

from mindres.errors import UserError
from mindres.evaluation.likeness import MOST_IMAGES
from mindres.models.summary import summarize
from mindres.training.lr_finder import RangeTest

ENOUGH_EPOCHS = 3  # with published weights and time for fewer, only a part is trained
# The time of a training step of the last half of the stages, and of the last stage, as a part of
# that of all layers.
LAST_STAGES, LAST_STAGE = 0.7, 0.5
CLASSIFIER_EPOCHS = 30
# The time of inference as a part of that of a training step on the same images, if all layers are
# trained, if some are, and if only the classifier is.
OF_ALL, OF_SOME, OF_CLASSIFIER = 1 / 3, 1 / 2, 1.0
EPOCH_OVERHEAD = 0.15  # seconds: to begin and end an epoch, and to write a small checkpoint
WRITTEN = 16  # bytes per value and epoch: best.ckpt, and last.ckpt with two moments
MATRIX = 1024  # rows and columns
SIDES = (160, 128, 96, 64, 32)  # of smaller images to suggest, in pixels
DISK = 400e6  # bytes per second
# The compiler's time for inference, and for training with validation, in multiples of the range
# test's first step, which waits for the compiler, too.
INFERENCE_COMPILED, TRAINING_COMPILED = 0.5, 1.5


@dataclass
class Choice:
    """What to train: `freeze` as in `mindres.train`, the number of epochs, and a description."""

    freeze: str
    epochs: int
    what: str


def least_seconds(net, data) -> float:
    """What an image takes at least without gradients, known before anything is compiled.

    These are the multiply-adds of the network, twice as fast as those of a matrix product, which
    may be measured at a busy moment; 0 on other devices than CPU.
    """
    if mindspore.get_context("device_target") != "CPU":
        return 0.0
    matrix = np.ones((MATRIX, MATRIX), np.float32)
    found = []
    for _ in range(5):
        started = time.monotonic()
        matrix @ matrix
        found.append(time.monotonic() - started)
    work = summarize(net, (data.channels, *data.resize)).multiply_adds
    return work * min(found) / MATRIX**3 / 2


def check_time(net, data, seconds: float, pretrained: bool) -> None:
    """Raise `UserError` at once for what is hopeless: compiling alone may take `seconds`."""
    least = len(data) * least_seconds(net, data) / (1 if pretrained else OF_ALL)
    if least > seconds:
        raise UserError(
            f"{len(data):,} images take at least {about(least)} here, and there are "
            f"{about(seconds)}: give more `minutes`, a smaller `resize`, or a smaller `arch`"
        )


class Budget:
    """The time of a run, and of its parts in seconds.

    Args:
        net: the network to train.
        found: the range test, which has timed the steps.
        train_data, val_data: the images to train and validate on.
        test_images: the number of images to measure at the end.
        seconds: from the start of the range test to the end of measuring the test images.
        freeze: what was frozen in the range test.
    """

    def __init__(
        self,
        net,
        found: RangeTest,
        train_data,
        val_data,
        test_images: int,
        seconds: float,
        freeze: str = "none",
    ):
        inference = {"none": OF_ALL, "backbone": OF_CLASSIFIER}.get(freeze, OF_SOME)
        self.image = inference * found.step_seconds / train_data.batch_size  # without gradients
        self.measuring = len(val_data) * self.image
        values = sum(each.size for each in net.get_parameters())
        self.around = self.measuring + EPOCH_OVERHEAD + WRITTEN * values / DISK
        self.steps = len(train_data) // train_data.batch_size * found.step_seconds
        tested = found.first_seconds + found.step_seconds * len(found.losses)
        compiling = INFERENCE_COMPILED * found.first_seconds
        # The time after training: to measure the test images, and the features of MOST_IMAGES.
        noted = min(MOST_IMAGES, len(val_data))
        self.after = compiling + (test_images + noted) * self.image if test_images else 0.0
        self.compiling = TRAINING_COMPILED * found.first_seconds
        self.left = seconds - tested - self.compiling - self.after
        # The time to compute the features of all images for a linear probe.
        self.features = compiling + (len(train_data) + len(val_data)) * self.image

    def take_probe(self) -> bool:
        """Reserve the time of a linear probe, if there is enough."""
        if self.features > self.left:
            return False
        self.left -= self.features
        self.features = 0.0
        return True

    def epochs(self, share: float = 1.0) -> int:
        """The epochs that there is time for, with steps of this share of the measured time."""
        return int(self.left // (share * self.steps + self.around))

    def side_for(self, epochs: int, side: int) -> tuple[int, int] | None:
        """The largest of `SIDES` below `side` with time for `epochs`, and its epochs; or None.

        The time of a convolution is proportional to the number of pixels.
        """
        for smaller in SIDES:
            found = self.epochs((smaller / side) ** 2)
            if smaller < side and found >= epochs:
                return smaller, found
        return None


def what_to_train(
    budget: Budget, stages: list[str], pretrained: bool, probed: bool, freeze: str
) -> Choice:
    """All layers, or the last ones if that takes too long and there are published weights.

    Args:
        stages: the stages of the network in their order.
        pretrained: whether the network has published weights.
        probed: whether a linear probe comes first, so that even one epoch of other layers can help.
        freeze: what the user freezes, or "none" to choose here.
    """
    if freeze == "backbone":
        return _classifier(budget, "as given")
    if freeze != "none":
        return Choice(freeze, budget.epochs(), f"those after {freeze}, as given")
    everything = Choice("none", budget.epochs(), "all")
    if not pretrained or everything.epochs >= ENOUGH_EPOCHS:
        return everything
    half, last = stages[len(stages) // 2], stages[-2]
    for kept, share in ((half, LAST_STAGES), (last, LAST_STAGE)):
        epochs = budget.epochs(share)
        if epochs >= (1 if probed and kept == last else ENOUGH_EPOCHS):
            return Choice(kept, epochs, f"those after {kept}, since all would take too long")
    return _classifier(budget, "since an epoch of other layers would take too long")


def _classifier(budget: Budget, why: str) -> Choice:
    # On features it compiles at once.
    epochs = CLASSIFIER_EPOCHS if budget.features < budget.left + budget.compiling else 0
    return Choice("backbone", epochs, f"only the classifier, {why}")


def in_words(seconds: float) -> str:
    """A time in words: in seconds, or in minutes if it is two minutes or more."""
    return f"{seconds:g} seconds" if seconds < 120 else f"{seconds / 60:.3g} minutes"


def about(seconds: float) -> str:
    """A measured time in words, to two digits."""
    return in_words(float(f"{seconds:.2g}"))
