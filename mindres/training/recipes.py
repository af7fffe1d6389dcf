"""Recipes: the hyperparameters of a training run.

A new recipe is a row of `RECIPES`. A new field is a line of `Recipe` with its help and its range;
the flag, the check and the entry in `config.json` follow from the line.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mindres.errors import UserError, unknown
from mindres.training import recipe_fields
from mindres.training.optimizers import OPTIMIZERS
from mindres.training.recipe_fields import (
    ABOVE_0,
    AT_LEAST_0,
    AT_LEAST_1,
    FACTOR,
    SHARE,
    Option,
    number,
    row_of,
    shares,
    switch,
)
from mindres.training.schedules import SCHEDULES


@dataclass(frozen=True)
class Recipe:
    """The hyperparameters of a run; `mindres.train` takes each field as an override."""

    description: str = ""
    epochs: int = number(40, "passes over the training images", AT_LEAST_1)
    batch_size: int = number(32, "images per batch", AT_LEAST_1)
    optimizer: str = row_of(OPTIMIZERS, "momentum", "the optimizer")
    schedule: str = row_of(SCHEDULES, "cosine", "how the learning rate changes")
    lr: float = number(0.001, "highest learning rate", ABOVE_0)
    min_lr: float = number(0.00001, "final learning rate of cosine and onecycle", AT_LEAST_0)
    warmup: float = number(0.0, "fraction of the steps in which onecycle rises", SHARE)
    stages: tuple[float, ...] = shares(
        (), "fractions of the epochs after which the learning rate of staged falls to a tenth"
    )
    momentum: float = number(0.9, "momentum of the optimizer momentum", SHARE)
    nesterov: bool = switch(False, "Nesterov momentum, with the optimizer momentum")
    weight_decay: float = number(
        0.0, "L2 penalty of momentum and adam; decoupled weight decay of adamw", AT_LEAST_0
    )
    decay_all: bool = switch(True, "also decay the parameters of normalisation, and biases")
    # arXiv:1512.00567, section 7
    label_smoothing: float = number(0.0, "share of the target spread over all classes", SHARE)
    ema: float = number(
        0.0,
        "decay per step of the moving average of weights that is validated and kept; 0 for none",
        SHARE,
    )
    clip_norm: float = number(0.0, "largest norm of the gradient; 0 for no limit", AT_LEAST_0)
    accumulate: int = number(1, "batches whose gradients make one step", AT_LEAST_1)
    patience: int = number(
        0,
        "stop after this many epochs without a better validation metric; 0 for never",
        AT_LEAST_0,
    )
    layer_decay: float = number(
        1.0, "factor on the learning rate from each stage to the stage before it", FACTOR
    )
    tta: bool = switch(False, "validate on images and their mirror images")
    # These two are for whoever builds the data sets.
    augment: bool = switch(True, "augment training images")
    standardize: bool = switch(
        True, "standardise images to mean 0 and variance 1, or leave them in [0, 1]"
    )

    def values(self) -> dict:
        """Every field by name, except the description."""
        return {option.name: getattr(self, option.name) for option in recipe_options()}


RECIPES = {
    "tutorial": Recipe("MindSpore's ResNet-50 tutorial"),
    "adam_early_stop": Recipe(
        "Adam, stopped when the validation accuracy no longer rises (the ResNet-20 text)",
        epochs=50,
        batch_size=128,
        optimizer="adam",
        schedule="constant",
        lr=0.001,
        weight_decay=0.0001,
        patience=5,
    ),
    "staged_sgd": Recipe(
        "150 epochs at 0.1, then 60 each at 0.01 and 0.001 (the ResNet-18 text)",
        epochs=270,
        batch_size=128,
        schedule="staged",
        lr=0.1,
        stages=(150 / 270, 210 / 270),
        weight_decay=0.0005,
    ),
    "sgd_mnist": Recipe(
        "SGD on images without augmentation or standardisation (the ConvNet text)",
        epochs=10,
        batch_size=128,
        schedule="constant",
        lr=0.05,
        momentum=0.0,
        augment=False,
        standardize=False,
    ),
    "fast": Recipe(
        "for a small budget of epochs",
        epochs=12,
        batch_size=128,
        schedule="onecycle",
        lr=0.1,
        min_lr=0.0,
        warmup=0.25,
        nesterov=True,
        weight_decay=0.0005,
        decay_all=False,
        tta=True,
    ),
}


def recipe_options() -> list[Option]:
    """The fields of a recipe that can be overridden, with name, type, default and help."""
    return recipe_fields.options(Recipe)


def make_recipe(name: str = "tutorial", **overrides) -> Recipe:
    """The recipe `name` with the overrides that are not None.

    Raises:
        UserError: the recipe or a field is unknown, or a value is out of range.
    """
    if name not in RECIPES:
        raise unknown("recipe", name, RECIPES)
    fields = [option.name for option in recipe_options()]
    for key in overrides:
        if key not in fields:
            raise unknown("training option", key, fields)
    given = {key: value for key, value in overrides.items() if value is not None}
    recipe = dataclasses.replace(RECIPES[name], **given)
    recipe_fields.check(recipe)
    if "min_lr" in SCHEDULES[recipe.schedule].takes and not recipe.lr > recipe.min_lr:
        raise UserError(
            f"the learning rate falls from `lr` to `min_lr`, so `lr={recipe.lr}` must be above "
            f"`min_lr={recipe.min_lr}`"
        )
    return recipe


def unused_options(name: str, overrides: Mapping[str, Any]) -> list[str]:
    """A sentence for each override that the recipe's optimizer or schedule does not use.

    Overrides that are None or equal to the recipe's own value do not count: a resumed run passes
    all of them.
    """
    own = RECIPES[name]
    recipe = make_recipe(name, **overrides)
    given = [
        field
        for field, value in overrides.items()
        if value is not None and value != getattr(own, field)
    ]
    indexes: dict[str, Mapping[str, Any]] = {"optimizer": OPTIMIZERS, "schedule": SCHEDULES}
    sentences = []
    for kind, index in indexes.items():
        chosen = getattr(recipe, kind)
        for field in given:
            takers = [name for name, row in index.items() if field in row.takes]
            if takers and chosen not in takers:
                others = " or ".join(takers)
                sentences.append(
                    f"`{field}` has no effect with the {kind} {chosen}, only with {others}"
                )
    return sentences
