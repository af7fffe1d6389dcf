"""What there is time for in a budget: all of a network, its last stages, or its classifier."""

from __future__ import annotations

from dataclasses import dataclass

from mindres.training.lr_finder import RangeTest

ENOUGH_EPOCHS = 3  # below it only a part is trained, if there are published weights
# Of the time of a training step of all layers: one of the last half of the stages, and one of the
# last stage.
LAST_STAGES, LAST_STAGE = 0.7, 0.5
CLASSIFIER_EPOCHS = 30
# Of the time of a training step that the same images take without gradients, where all layers are
# trained, some, and the classifier alone.
OF_ALL, OF_SOME, OF_CLASSIFIER = 1 / 3, 1 / 2, 1.0
EPOCH_OVERHEAD = 0.15  # seconds: to begin and end an epoch, and to write a small checkpoint
WRITTEN = 16  # bytes of each value in an epoch: the best weights; and all, with two moments
SIDES = (160, 128, 96, 64, 32)  # of smaller images that are proposed, in pixels
DISK = 400e6  # bytes in a second
# In times of the range test's first step, which waits for the compiler, too: inference is compiled
# in INFERENCE_COMPILED, training with validation in TRAINING_COMPILED.
INFERENCE_COMPILED, TRAINING_COMPILED = 0.5, 1.5


@dataclass
class Choice:
    """What is trained, for how many epochs, and that in words."""

    freeze: str
    epochs: int
    what: str


class Budget:
    """What there is time for.

    net: the network to train.
    found: the range test, which has timed the steps.
    seconds: from its start to the end of the training, and of measuring the test images.
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
        # To measure the test images after the training.
        self.after = compiling + test_images * self.image if test_images else 0.0
        self.left = seconds - tested - TRAINING_COMPILED * found.first_seconds - self.after
        # To compute the features of all images, which a classifier is fitted to.
        self.features = compiling + (len(train_data) + len(val_data)) * self.image

    def take_probe(self) -> bool:
        """Set time for a linear probe aside, if there is any."""
        if self.features > self.left:
            return False
        self.left -= self.features
        self.features = 0.0
        return True

    def epochs(self, share: float = 1.0) -> int:
        """For how many epochs there is time, with steps of this share of the measured ones."""
        return int(self.left // (share * self.steps + self.around))

    def side_for(self, epochs: int, side: int) -> tuple[int, int] | None:
        """The largest of `SIDES` below `side` with time for `epochs`, and for how many; or None.

        A convolution's time goes with the pixels.
        """
        for smaller in SIDES:
            found = self.epochs((smaller / side) ** 2)
            if smaller < side and found >= epochs:
                return smaller, found
        return None


def what_to_train(
    budget: Budget, stages: list[str], pretrained: bool, probed: bool, freeze: str
) -> Choice:
    """All layers; where that takes too long and there are weights, the last ones.

    stages: of the network, in their order.
    probed: whether the classifier is fitted before, so that even an epoch of other layers can help.
    freeze: what is to stay as it is, or "none" where that may be chosen.
    """
    if freeze == "backbone":
        return _classifier(budget, "as asked for")
    if freeze != "none":
        return Choice(freeze, budget.epochs(), f"those after {freeze}, as asked for")
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
    epochs = CLASSIFIER_EPOCHS if budget.features < budget.left else 0
    return Choice("backbone", epochs, f"the classifier alone, {why}")
