"""Plans a training for a budget of time: what is trained, for how long, and how fast it learns.

The plan follows from the data (how many images of each class), from whether the network has
published weights, and from a learning-rate range test that also times the steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mindres.data.dataset import ImageDataset
from mindres.data.image_sizes import image_sizes
from mindres.errors import UserError
from mindres.training.budget import ENOUGH_EPOCHS, Budget, Choice, what_to_train
from mindres.training.freeze import freeze_stages, frozen_stages
from mindres.training.linear_probe import classifier
from mindres.training.lr_finder import RangeTest, range_test
from mindres.training.recipes import make_recipe

SHARE_OF_TEST = 0.1  # of the budget, for the range test
CLASSIFIER_RATE = 0.003
FEW_EPOCHS, FEW_IMAGES = 10, 20_000  # with random weights, fewer of both teach nothing
ONE_CYCLE = {"schedule": "onecycle", "min_lr": 0.0, "warmup": 0.25, "label_smoothing": 0.1}
OF_OPTIMIZERS: dict[str, dict] = {
    "adamw": {"weight_decay": 0.01, "decay_all": False, "nesterov": False},
    "momentum": {"weight_decay": 0.0005, "decay_all": False, "nesterov": True},
}
USUAL_RATES = {"adamw": 0.0005, "momentum": 0.05}  # without a range test
LIKELY = 10  # times the usual rate, or a part of it: no rate beyond is taken
MOST_EPOCHS = 200
MARGIN = 0.95  # of what is left of the budget is planned
LONG_ENOUGH_TO_AVERAGE = 500  # steps
LONG_ENOUGH_TO_STOP = 30  # epochs; then a third of them without a better metric end the training


@dataclass
class Plan:
    """What is to be done: fields of the recipe, what is frozen, and why, in five lines.

    seconds_after: of the budget, how many are for measuring the test images at the end.
    """

    options: dict
    freeze: str
    linear_probe: bool
    seconds_after: float = 0.0
    lines: list[str] = field(default_factory=list)


def plan_training(
    net,
    train_data: ImageDataset,
    val_data,
    seconds: float,
    spent: float,
    pretrained: bool,
    given: dict | None = None,
    test_images: int = 0,
    freeze: str = "none",
) -> Plan:
    """The plan for `seconds`, of which `spent` are over.

    Args:
        net: the network; its weights are the same afterwards, and what `freeze` names is frozen.
        train_data, val_data: images to train on, and to choose the best weights by.
        pretrained: whether the network has published weights.
        given: fields of the recipe that are not to be planned.
        test_images: how many images are measured at the end.
        freeze: as of `mindres.train`; with "none" the plan chooses.

    Raises:
        UserError: the time is too short for one epoch.
    """
    given = given or {}
    optimizer = given.get("optimizer", "adamw" if pretrained else "momentum")
    usual = {**ONE_CYCLE, **OF_OPTIMIZERS.get(optimizer, {}), "optimizer": optimizer}
    options: dict = {**usual, **given}
    trial = make_recipe("tutorial", **{**options, "lr": 0.1})
    freeze_stages(net, freeze)
    found = range_test(net, train_data, trial, SHARE_OF_TEST * seconds)
    left = MARGIN * (seconds - spent)
    budget = Budget(net, found, train_data, val_data, test_images, left, freeze)
    can_probe = pretrained and classifier(net) is not None
    probe = can_probe and budget.take_probe()
    chosen = what_to_train(budget, frozen_stages(net, "backbone"), pretrained, probe, freeze)
    if chosen.epochs < 1:
        raise UserError(
            f"an epoch of {len(train_data):,} images takes about {budget.steps:,.0f} seconds here, "
            f"and {in_words(seconds)} have no room for one beside starting and measuring: give "
            f"{_instead(budget, train_data, pretrained)}"
        )
    options |= {**_length(chosen, len(train_data) // train_data.batch_size), **given}
    options["lr"], rate = _rate(found, options, chosen.freeze)
    if probe and chosen.freeze != "backbone":
        chosen.what = f"first the classifier, then {chosen.what}"
    probe = probe or (can_probe and chosen.freeze == "backbone")  # on the same features
    lines = [
        f"images: {_of_the_data(train_data)}",
        f"speed: {train_data.batch_size / found.step_seconds:,.0f} images/s in training, so that "
        f"all of them once, an epoch, take {in_words(round(budget.steps, 1))}",
        f"layers: {chosen.what}; from {'published' if pretrained else 'random'} weights",
        f"epochs: {_of_the_epochs(options, seconds)}",
        f"learning rate: {rate}",
    ]
    seen = options["epochs"] * len(train_data)
    if not pretrained and options["epochs"] < FEW_EPOCHS and seen < FEW_IMAGES:
        lines.append(_little(options["epochs"], budget, train_data))
    return Plan(options, chosen.freeze, probe, budget.after, lines)


def _length(chosen: Choice, steps: int) -> dict:
    """How many epochs, and what goes with many: a moving average, and an early stop."""
    options: dict = {"epochs": min(chosen.epochs, MOST_EPOCHS)}
    if chosen.freeze != "backbone" and options["epochs"] * steps >= LONG_ENOUGH_TO_AVERAGE:
        options["ema"] = 0.99
    if options["epochs"] >= LONG_ENOUGH_TO_STOP:
        options["patience"] = options["epochs"] // 3
    return options


def _little(epochs: int, budget: Budget, data: ImageDataset) -> str:
    """That a training from random weights as short as this one leads to nothing useful."""
    return (
        f"expect little: {_counted(epochs)} from random weights teach next to nothing; give "
        f"{_instead(budget, data, pretrained=False)}"
    )


def _instead(budget: Budget, data: ImageDataset, pretrained: bool) -> str:
    """What leads to more in the same time, or takes more time."""
    smaller = budget.side_for(ENOUGH_EPOCHS if pretrained else FEW_EPOCHS, min(data.resize))
    ways = ["more `minutes`", "a smaller `arch`"]
    if smaller is not None:
        side, epochs = smaller
        ways.insert(0, f"fewer pixels (`resize={side}` has time for about {epochs} epochs)")
    if not pretrained:
        ways.append("published weights (`pretrained=FILE` reads them if they cannot be fetched)")
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"


def in_words(seconds: float) -> str:
    """A time in seconds, or in minutes from two on."""
    return f"{seconds:g} seconds" if seconds < 120 else f"{seconds / 60:.3g} minutes"


def _rate(found: RangeTest, options: dict, freeze: str) -> tuple[float, str]:
    """The learning rate, and why it is this one."""
    if "lr" in options:
        return options["lr"], f"{options['lr']:g}, as asked for"
    if freeze == "backbone":
        return CLASSIFIER_RATE, f"{CLASSIFIER_RATE:g}, usual for a classifier alone"
    optimizer = options["optimizer"]
    rate = USUAL_RATES.get(optimizer, USUAL_RATES["adamw"])
    if not found.complete:
        return rate, f"{rate:g}, usual for {optimizer}: no time for a range test"
    if not found.falls:
        why = f"usual for {optimizer}: the loss did not fall clearly in a range test"
        return rate, f"{rate:g}, {why}"
    lowest = found.rates[int(found.smoothed().argmin())]
    why = f"a tenth of {lowest:.2g}, where the loss was lowest in a range test"
    near = min(max(found.suggestion, rate / LIKELY), rate * LIKELY)
    if near != found.suggestion:
        why += f", but within {LIKELY} times of the usual"
    return near, f"{near:g}, {why}"


def _of_the_epochs(options: dict, seconds: float) -> str:
    """How many epochs are planned, and what is done in them."""
    average = ", moving average of the weights" if options.get("ema") else ""
    return (
        f"{options['epochs']} in {in_words(seconds)}, with {options['optimizer']}, the schedule "
        f"{options['schedule']}, label smoothing {options['label_smoothing']:g}{average}"
    )


def _counted(epochs: int) -> str:
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


def _of_the_data(data: ImageDataset) -> str:
    """How many images there are, their size, and what of it the network sees."""
    height, width = data.resize
    line = f"{len(data):,} of {len(data.classes)} classes train, at {width}x{height} pixels"
    sizes = image_sizes(data)
    if sizes is None:
        return line
    return (
        f"{line}; the files have about {sizes.width}x{sizes.height}, of which validation and test "
        f"see the middle {sizes.shown:.0%}"
    )
