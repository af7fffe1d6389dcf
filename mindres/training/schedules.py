"""Learning-rate schedules. A new one is a function and a row of `SCHEDULES`."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mindres.training.recipes import Recipe


@dataclass(frozen=True)
class Schedule:
    """A row: the description of a schedule, its learning rates, and the fields that it uses.

    rates: a function of the recipe and of the number of optimizer steps in an epoch.
    takes: the fields of the recipe that it uses beside `lr`; with `min_lr` the rate falls to that.
    """

    description: str
    rates: Callable[[Recipe, int], list[float]]
    takes: tuple[str, ...] = ()


def learning_rates(recipe: Recipe, batches_per_epoch: int) -> list[float]:
    """The learning rate of every optimizer step of a run."""
    steps = math.ceil(batches_per_epoch / recipe.accumulate)
    return SCHEDULES[recipe.schedule].rates(recipe, steps)


def _cosine(recipe, steps):
    # The same as mindspore.nn.cosine_decay_lr, which `--help` would have to import MindSpore for.
    return [
        recipe.min_lr
        + (recipe.lr - recipe.min_lr) * (1 + math.cos(math.pi * epoch / recipe.epochs)) / 2
        for epoch in range(recipe.epochs)
        for _ in range(steps)
    ]


def _onecycle(recipe, steps):
    total = steps * recipe.epochs
    rise = max(1, round(recipe.warmup * total))
    up = [recipe.lr * (i + 1) / rise for i in range(rise)]
    fall = total - rise
    down = [
        recipe.min_lr + (recipe.lr - recipe.min_lr) * (1 + math.cos(math.pi * (i + 1) / fall)) / 2
        for i in range(fall)
    ]
    return up + down


def _staged(recipe, steps):
    ends = [round(stage * recipe.epochs) for stage in recipe.stages]
    return [
        recipe.lr * 0.1 ** sum(epoch >= end for end in ends)
        for epoch in range(recipe.epochs)
        for _ in range(steps)
    ]


def _constant(recipe, steps):
    return [recipe.lr] * (steps * recipe.epochs)


SCHEDULES = {
    "cosine": Schedule(
        "half a cosine from lr to min_lr, epoch by epoch, as in MindSpore's tutorial",
        _cosine,
        ("min_lr",),
    ),
    "onecycle": Schedule(
        "a linear rise over the fraction warmup of the steps, then half a cosine, step by step",
        _onecycle,
        ("min_lr", "warmup"),
    ),
    "staged": Schedule("lr, divided by ten after each of the stages", _staged, ("stages",)),
    "constant": Schedule("always lr", _constant),
}
