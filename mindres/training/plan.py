"""Plans a run for a given time: which stages to train, for how many epochs, at which rate.

The plan follows from the number of images, from whether the network has published weights, and
from a learning-rate range test that also times the steps.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from mindres.data.dataset import ImageDataset
from mindres.data.image_sizes import image_sizes
from mindres.errors import UserError
from mindres.training.budget import (
    ENOUGH_EPOCHS,
    Budget,
    Choice,
    about,
    check_time,
    in_words,
    what_to_train,
)
from mindres.training.freeze import freeze_stages, frozen_stages
from mindres.training.linear_probe import classifier
from mindres.training.lr_finder import RangeTest, range_test
from mindres.training.recipes import make_recipe

SHARE_OF_TEST = 0.1  # of the time, for the range test
CLASSIFIER_RATE = 0.003
FEW_EPOCHS, FEW_IMAGES = 10, 20_000  # random weights hardly learn from fewer of both
ONE_CYCLE = {"schedule": "onecycle", "min_lr": 0.0, "warmup": 0.25, "label_smoothing": 0.1}
OPTIMIZER_OPTIONS: dict[str, dict] = {
    "adamw": {"weight_decay": 0.01, "decay_all": False, "nesterov": False},
    "momentum": {"weight_decay": 0.0005, "decay_all": False, "nesterov": True},
}
USUAL_RATES = {"adamw": 0.0005, "momentum": 0.05}  # without a range test, for batches of 32
LIKELY = 10  # the rate is at most this many times, or this part of, the usual rate
MOST_EPOCHS = 200
MARGIN = 0.95  # the part of the remaining time that is planned
LONG_ENOUGH_TO_AVERAGE = 500  # steps
LONG_ENOUGH_TO_STOP = 30  # epochs; a run stops after a third of them without a better metric


@dataclass
class Plan:
    """A planned run.

    options: fields of the recipe by name.
    freeze, linear_probe: as in `mindres.train`.
    seconds_after: the time that is reserved to measure the test images.
    lines: the plan and its reasons, for the user.
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
    """Plan a run of `seconds`, of which `spent` have passed.

    Args:
        net: the network; its weights do not change, but the stages of `freeze` are frozen.
        train_data, val_data: images to train on, and to choose the best weights by.
        pretrained: whether the network has published weights.
        given: fields of the recipe that the user chose.
        test_images: the number of images to measure at the end.
        freeze: as in `mindres.train`; with "none" the plan chooses.

    Raises:
        UserError: the time is too short for one epoch.
    """
    given = given or {}
    optimizer = given.get("optimizer", "adamw" if pretrained else "momentum")
    usual = {**ONE_CYCLE, **OPTIMIZER_OPTIONS.get(optimizer, {}), "optimizer": optimizer}
    options: dict = {**usual, **given}
    trial = make_recipe("tutorial", **{**options, "lr": 0.1})
    check_time(net, train_data, seconds - spent, pretrained)
    freeze_stages(net, freeze)
    found = range_test(net, train_data, trial, SHARE_OF_TEST * seconds)
    left = MARGIN * (seconds - spent)
    budget = Budget(net, found, train_data, val_data, test_images, left, freeze)
    can_probe = pretrained and classifier(net) is not None
    probe = can_probe and budget.take_probe()
    chosen = what_to_train(budget, frozen_stages(net, "backbone"), pretrained, probe, freeze)
    if chosen.epochs < 1:
        raise UserError(
            f"an epoch of {len(train_data):,} images takes about {about(budget.steps)} here, "
            f"which is too long for {in_words(seconds)} with start and validation: use "
            f"{_alternatives(budget, train_data, pretrained)}"
        )
    options |= {**_length(chosen, len(train_data) // train_data.batch_size), **given}
    options["lr"], rate = _rate(found, options, chosen.freeze, train_data.batch_size)
    if probe and chosen.freeze != "backbone":
        chosen.what = f"first the classifier, then {chosen.what}"
    probe = probe or (can_probe and chosen.freeze == "backbone")  # uses the same features
    lines = [
        f"images: {_data_line(train_data)}",
        f"speed: {train_data.batch_size / found.step_seconds:,.0f} images/s in training, or "
        f"{about(budget.steps)} per epoch",
        f"layers: {chosen.what}; from {'published' if pretrained else 'random'} weights",
        f"epochs: {_epochs_line(options, seconds)}",
        f"learning rate: {rate}",
    ]
    seen = options["epochs"] * len(train_data)
    if not pretrained and options["epochs"] < FEW_EPOCHS and seen < FEW_IMAGES:
        lines.append(_warning(options["epochs"], budget, train_data))
    return Plan(options, chosen.freeze, probe, budget.after, lines)


def _length(chosen: Choice, steps: int) -> dict:
    """The number of epochs, and for many of them a moving average and early stopping."""
    options: dict = {"epochs": min(chosen.epochs, MOST_EPOCHS)}
    if chosen.freeze != "backbone" and options["epochs"] * steps >= LONG_ENOUGH_TO_AVERAGE:
        options["ema"] = 0.99
    if options["epochs"] >= LONG_ENOUGH_TO_STOP:
        options["patience"] = options["epochs"] // 3
    return options


def _warning(epochs: int, budget: Budget, data: ImageDataset) -> str:
    """A warning that so short a run from random weights is of little use."""
    return (
        f"expect little: {_counted(epochs)} from random weights are too few; use "
        f"{_alternatives(budget, data, pretrained=False)}"
    )


def _alternatives(budget: Budget, data: ImageDataset, pretrained: bool) -> str:
    """What the user can change to get enough epochs."""
    smaller = budget.side_for(ENOUGH_EPOCHS if pretrained else FEW_EPOCHS, min(data.resize))
    ways = ["more `minutes`", "a smaller `arch`"]
    if smaller is not None:
        side, epochs = smaller
        ways.insert(0, f"smaller images (`resize={side}` has time for about {epochs} epochs)")
    if not pretrained:
        ways.append("published weights (`pretrained` also takes a file)")
    return f"{', '.join(ways[:-1])}, or {ways[-1]}"


def _rate(found: RangeTest, options: dict, freeze: str, batch_size: int) -> tuple[float, str]:
    """The learning rate, and a sentence that says why."""
    if "lr" in options:
        return options["lr"], f"{options['lr']:g}, as given"
    if freeze == "backbone":
        return CLASSIFIER_RATE, f"{CLASSIFIER_RATE:g}, usual for a classifier alone"
    optimizer = options["optimizer"]
    rate = USUAL_RATES.get(optimizer, USUAL_RATES["adamw"]) * min(1, batch_size / 32)
    if not found.complete:
        return rate, f"{rate:g}, usual for {optimizer}: no time for a range test"
    if not found.falls:
        why = f"usual for {optimizer}: the loss did not fall clearly in a range test"
        return rate, f"{rate:g}, {why}"
    lowest = found.rates[int(found.smoothed().argmin())]
    why = f"a tenth of {lowest:.2g}, where the loss was lowest in a range test"
    near = min(max(found.suggestion, rate / LIKELY), rate * LIKELY)
    if near != found.suggestion:
        why += f", but within {LIKELY} times the usual"
    return near, f"{near:g}, {why}"


def _epochs_line(options: dict, seconds: float) -> str:
    """The number of epochs, and how they train."""
    average = ", moving average of the weights" if options.get("ema") else ""
    return (
        f"{options['epochs']} in {in_words(seconds)}, with {options['optimizer']}, the schedule "
        f"{options['schedule']}, label smoothing {options['label_smoothing']:g}{average}"
    )


def _counted(epochs: int) -> str:
    return "1 epoch" if epochs == 1 else f"{epochs} epochs"


def _data_line(data: ImageDataset) -> str:
    """The number of images, their sizes, and the part of them that the network sees."""
    height, width = data.resize
    line = f"{len(data):,} of {len(data.classes)} classes to train on, at {width}x{height} pixels"
    sizes = image_sizes(data)
    if sizes is None:
        return line
    return (
        f"{line}; the files have about {sizes.width}x{sizes.height}, of which validation and test "
        f"use the middle {sizes.shown:.0%}"
    )
