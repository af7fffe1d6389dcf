"""The learning rate of every step."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mindres.training.recipes import Recipe


def learning_rates(recipe: Recipe, steps_per_epoch: int) -> list[float]:
    """The learning rate of every optimizer step of a run."""
    return SCHEDULES[recipe.schedule](recipe, math.ceil(steps_per_epoch / recipe.accumulate))


def _cosine(recipe, steps):
    # What mindspore.nn.cosine_decay_lr gives; written out, so that `--help` need not import MindSpore.
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


SCHEDULES = {"cosine": _cosine, "onecycle": _onecycle, "staged": _staged, "constant": _constant}
