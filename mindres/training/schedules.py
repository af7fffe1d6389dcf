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
    """A row: what the schedule does, its learning rates, and which fields of a recipe it uses.

    rates: a function of the recipe and of the number of optimizer steps in an epoch.
    takes: the fields that it uses besides `lr`; with `min_lr` the learning rate falls to that.
    """

    description: str
    rates: Callable[[Recipe, int], list[float]]
    takes: tuple[str, ...] = ()


def learning_rates(recipe: Recipe, batches_per_epoch: int) -> list[float]:
    """The learning rate of every optimizer step of a run."""
    steps = math.ceil(batches_per_epoch / recipe.accumulate)
    return SCHEDULES[recipe.schedule].rates(recipe, steps)


def _cosine(recipe, steps):
    # What mindspore.nn.cosine_decay_lr gives; written out, so that `--help` need not import
    # MindSpore.
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
        "step by step: up along a line for warmup of the steps, then down along half a cosine",
        _onecycle,
        ("min_lr", "warmup"),
    ),
    "staged": Schedule("lr, a tenth of it after each of the stages", _staged, ("stages",)),
    "constant": Schedule("lr throughout", _constant),
}
