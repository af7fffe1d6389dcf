"""What there is time for in a budget: all of a network, its last stages, or its classifier."""

from __future__ import annotations

from dataclasses import dataclass

from mindres.training.lr_finder import RangeTest

ENOUGH_EPOCHS = 3  # below it only a part is trained, if there are published weights
TIME_OF_LAST_STAGES = 0.7  # of that of a training step of all of the network
CLASSIFIER_EPOCHS = 30
INFERENCE = 1 / 3  # of the time of a training step that the same images take without gradients
EPOCH_OVERHEAD = 0.15  # seconds: to begin and end an epoch, and to write a small checkpoint
WRITTEN = 16  # bytes of each value in an epoch: the best weights; and all, with two moments
SIDES = (160, 128, 96, 64, 32)  # of smaller images that are proposed, in pixels
PROBE_COMPILED, SHARE_OF_PROBE = 0.5, 0.5
DISK = 400e6  # bytes in a second
COMPILED = 2.0  # times the first step of the range test, which waits for the compiler, too


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
    """

    def __init__(
        self, net, found: RangeTest, train_data, val_data, test_images: int, seconds: float
    ):
        self.image = INFERENCE * found.step_seconds / train_data.batch_size  # without gradients
        self.all_images = (len(train_data) + len(val_data)) * self.image
        self.measuring = len(val_data) * self.image
        values = sum(each.size for each in net.get_parameters())
        self.around = self.measuring + EPOCH_OVERHEAD + WRITTEN * values / DISK
        self.steps = len(train_data) // train_data.batch_size * found.step_seconds
        tested = found.first_seconds + found.step_seconds * len(found.losses)
        # Training and validation are compiled, too.
        self.left = seconds - tested - COMPILED * found.first_seconds
        self.left -= test_images * self.image
        # A linear probe compiles inference, and computes the features of all images.
        self.probe = PROBE_COMPILED * found.first_seconds + self.all_images

    def take_probe(self) -> bool:
        """Set time for a linear probe aside, where at least as much is left."""
        if self.probe > SHARE_OF_PROBE * self.left:
            return False
        self.left -= self.probe
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


def what_to_train(budget: Budget, stages: list[str], pretrained: bool) -> Choice:
    """All of the network; where that takes too long and there are weights, its last part."""
    everything = Choice("none", budget.epochs(), "all of the network")
    if not pretrained or everything.epochs >= ENOUGH_EPOCHS:
        return everything
    kept = stages[len(stages) // 2]
    some = budget.epochs(TIME_OF_LAST_STAGES)
    if some >= ENOUGH_EPOCHS and kept != stages[-1]:
        return Choice(kept, some, f"what follows {kept}: all of the network would take too long")
    there_is_time = budget.all_images < budget.left
    what = "the classifier alone, on features computed once: the network would take too long"
    return Choice("backbone", CLASSIFIER_EPOCHS if there_is_time else 0, what)
