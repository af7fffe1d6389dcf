"""Plans a training for a budget of time: what is trained, for how long, and how fast it learns.

The plan follows from the data (how many images of each class), from whether the network has
published weights, and from a learning-rate range test that also times the steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mindres.data.dataset import ImageDataset
from mindres.errors import UserError
from mindres.training.lr_finder import RangeTest, range_test
from mindres.training.recipes import make_recipe

SHARE_OF_TEST = 0.1  # of the budget, for the range test
ENOUGH_EPOCHS = 3  # below it only the classifier is trained, if there are published weights
CLASSIFIER_EPOCHS = 30
CLASSIFIER_RATE = 0.003
USUAL_RATES = {"adamw": 0.0005, "momentum": 0.05}  # without a range test
LIKELY = 10  # times the usual rate, or a part of it: no rate beyond is taken
MOST_EPOCHS = 200
INFERENCE = 1 / 3  # of the time of a training step that the same images take without gradients
EPOCH_OVERHEAD = 0.4  # seconds: to begin and end an epoch, and to write its checkpoint
MARGIN = 0.95  # of what is left of the budget is planned
LONG_ENOUGH_TO_AVERAGE = 500  # steps


@dataclass
class Plan:
    """What is to be done: fields of the recipe, what is frozen, and why, in five lines."""

    options: dict
    freeze: str
    lines: list[str] = field(default_factory=list)


def plan_training(
    net, train_data: ImageDataset, val_data, seconds: float, spent: float, pretrained: bool
) -> Plan:
    """The plan for `seconds`, of which `spent` are over.

    Args:
        net: the network; its weights are the same afterwards.
        train_data, val_data: images to train on, and to choose the best weights by.
        pretrained: whether the network has published weights.

    Raises:
        UserError: the time is too short for one epoch.
    """
    batch = train_data.batch_size
    steps = len(train_data) // batch
    options: dict = {
        "optimizer": "adamw" if pretrained else "momentum",
        "schedule": "onecycle",
        "min_lr": 0.0,
        "warmup": 0.25,
        "weight_decay": 0.01 if pretrained else 0.0005,
        "decay_all": False,
        "label_smoothing": 0.1,
        "nesterov": not pretrained,
    }
    trial = make_recipe("tutorial", **options, lr=0.1)
    found = range_test(net, train_data, trial, SHARE_OF_TEST * seconds)
    tested = found.first_seconds + found.step_seconds * len(found.losses)
    # Training and validation are compiled, too, and the test images measured.
    left = MARGIN * (seconds - spent - tested) - 1.5 * found.first_seconds
    inference = INFERENCE * found.step_seconds / batch
    epoch = steps * found.step_seconds + len(val_data) * inference + EPOCH_OVERHEAD
    epochs = int((left - len(val_data) * inference) // epoch)
    if pretrained and epochs < ENOUGH_EPOCHS:
        options |= {"epochs": CLASSIFIER_EPOCHS, "lr": CLASSIFIER_RATE}
        what = f"the classifier alone: {in_words(seconds)} are too short for the network"
        freeze = "backbone"
        rate = f"learning rate {CLASSIFIER_RATE:g}, usual for a classifier"
    else:
        if epochs < 1:
            raise UserError(
                f"an epoch of {len(train_data):,} images takes about {epoch:,.0f} seconds here, "
                f"and the budget leaves {max(0, left):,.0f}: give more --time, fewer pixels with "
                "--resize, or a smaller --arch"
            )
        options |= {"epochs": min(epochs, MOST_EPOCHS)}
        options["lr"], rate = _rate(found, options["optimizer"])
        if options["epochs"] * steps >= LONG_ENOUGH_TO_AVERAGE:
            options["ema"] = 0.99
        what = "all of the network"
        freeze = "none"
    return Plan(options, freeze, _lines(options, what, rate, found, train_data, seconds))


def in_words(seconds: float) -> str:
    """A time in seconds, or in minutes from two on."""
    return f"{seconds:g} seconds" if seconds < 120 else f"{seconds / 60:.3g} minutes"


def _rate(found: RangeTest, optimizer: str) -> tuple[float, str]:
    """The learning rate, and why it is this one."""
    rate = USUAL_RATES[optimizer]
    if not found.complete:
        return rate, f"learning rate {rate:g}, usual for {optimizer}: no time for a range test"
    if not found.falls:
        why = f"usual for {optimizer}: the loss did not fall clearly in a range test"
        return rate, f"learning rate {rate:g}, {why}"
    lowest = found.rates[int(found.smoothed().argmin())]
    why = f"a tenth of {lowest:.2g}, where the loss was lowest in a range test"
    near = min(max(found.suggestion, rate / LIKELY), rate * LIKELY)
    if near != found.suggestion:
        why += f", but within {LIKELY} times of the usual"
    return near, f"learning rate {near:g}, {why}"


def _lines(options, what, rate, found, data, seconds) -> list[str]:
    height, width = data.resize
    speed = data.batch_size / found.step_seconds
    average = ", moving average of the weights" if options.get("ema") else ""
    smoothing = f"label smoothing {options['label_smoothing']:g}"
    epochs = "1 epoch" if options["epochs"] == 1 else f"{options['epochs']} epochs"
    return [
        f"data: {len(data):,} training images of {len(data.classes)} classes at {width}x{height}",
        f"speed: {speed:,.0f} images/s in training, measured",
        f"train: {what}, with {'published' if options['optimizer'] == 'adamw' else 'random'} "
        "weights to begin with",
        f"how: {epochs} in one cycle of {options['optimizer']}, {smoothing}"
        f"{average}, for {in_words(seconds)}",
        f"rate: {rate}",
    ]
