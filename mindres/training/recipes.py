"""Recipes: every number of a training run in one place, and the learning rates that follow from them."""

from __future__ import annotations

import dataclasses
import difflib
import math
from dataclasses import dataclass

from mindres.errors import UserError
from mindres.training.schedules import SCHEDULES


@dataclass(frozen=True)
class Recipe:
    """How a network is trained. `RECIPES` has the named ones; `train` takes each field as an override.

    epochs: passes over the training images.
    batch_size: images in a step.
    optimizer: "momentum" (SGD with momentum) or "adam".
    schedule: "cosine" (half a cosine from `lr` to `min_lr`, epoch by epoch, as in the MindSpore tutorial), "onecycle"
        (step by step: up along a line for `warmup` of the steps, then down along half a cosine), "staged" (`lr`
        times 0.1 for every fraction of the epochs in `stages` that has passed), or "constant".
    lr, min_lr: highest and last learning rate.
    momentum, nesterov: of SGD.
    weight_decay: L2 penalty; on normalisation and biases too where `decay_all`.
    label_smoothing: share of the target spread over all classes (arXiv:1512.00567, section 7).
    zero_gamma: start each residual branch that is to be trained from scratch at zero (arXiv:1706.02677, section 5.1).
    ema: decay per step of the moving average of weights that is evaluated and kept; 0 evaluates the weights.
    clip_norm: largest norm of a step's gradient; 0 leaves it.
    accumulate: batches whose gradients make one step.
    patience: stop after so many epochs without a better validation metric; 0 never.
    layer_decay: factor on the learning rate from each stage to the one before it.
    tta: average the answers to an image and to its mirror image in validation, where the dataset's classes have
        mirror images.
    augment: whether training images are to be augmented; for whoever builds the dataset.
    standardize: whether images are to be brought to mean 0 and variance 1, or left in [0, 1]; likewise.
    """

    epochs: int = 40
    batch_size: int = 32
    optimizer: str = "momentum"
    schedule: str = "cosine"
    lr: float = 0.001
    min_lr: float = 0.00001
    warmup: float = 0.0
    stages: tuple[float, ...] = ()
    momentum: float = 0.9
    nesterov: bool = False
    weight_decay: float = 0.0
    decay_all: bool = True
    label_smoothing: float = 0.0
    zero_gamma: bool = False
    ema: float = 0.0
    clip_norm: float = 0.0
    accumulate: int = 1
    patience: int = 0
    layer_decay: float = 1.0
    tta: bool = False
    augment: bool = True
    standardize: bool = True


RECIPES = {
    # MindSpore's ResNet-50 tutorial.
    "tutorial": Recipe(),
    # The ResNet-20 text: Adam, stopped when the validation accuracy no longer rises.
    "adam_early_stop": Recipe(
        epochs=50,
        batch_size=128,
        optimizer="adam",
        schedule="constant",
        lr=0.001,
        weight_decay=0.0001,
        patience=5,
    ),
    # The ResNet-18 text: 150 epochs at 0.1, then 60 each at 0.01 and 0.001.
    "staged_sgd": Recipe(
        epochs=270,
        batch_size=128,
        schedule="staged",
        lr=0.1,
        stages=(150 / 270, 210 / 270),
        weight_decay=0.0005,
    ),
    # The ConvNet text: plain gradient descent on images as they are.
    "sgd_mnist": Recipe(
        epochs=10,
        batch_size=128,
        schedule="constant",
        lr=0.05,
        momentum=0.0,
        augment=False,
        standardize=False,
    ),
    # For a small budget of epochs.
    "fast": Recipe(
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


def make_recipe(name: str = "tutorial", **overrides) -> Recipe:
    """The recipe called `name` with every override that is not None in place.

    Raises:
        UserError: the recipe or a field is unknown, or a value out of its range.
    """
    if name not in RECIPES:
        raise UserError(f"unknown recipe {name!r}: choose one of {', '.join(RECIPES)}")
    fields = {field.name for field in dataclasses.fields(Recipe)}
    for key in overrides:
        if key not in fields:
            near = difflib.get_close_matches(key, fields, n=1)
            raise UserError(
                f"unknown training option {key!r}" + (f": did you mean {near[0]}?" if near else "")
            )
    recipe = dataclasses.replace(
        RECIPES[name], **{k: v for k, v in overrides.items() if v is not None}
    )
    for key in ("epochs", "batch_size", "accumulate"):
        if getattr(recipe, key) < 1:
            raise UserError(f"{key} must be at least 1, not {getattr(recipe, key)}")
    for key in ("weight_decay", "clip_norm", "patience", "min_lr"):
        if getattr(recipe, key) < 0:
            raise UserError(f"{key} must be at least 0, not {getattr(recipe, key)}")
    for key in ("momentum", "label_smoothing", "ema", "warmup"):
        if not 0 <= getattr(recipe, key) < 1:
            raise UserError(f"{key} must be in [0, 1), not {getattr(recipe, key)}")
    if not 0 < recipe.lr < math.inf or (
        recipe.schedule in ("cosine", "onecycle") and not recipe.lr > recipe.min_lr
    ):
        raise UserError(
            f"the learning rate falls from lr to min_lr, so lr {recipe.lr} must be a number above min_lr "
            f"{recipe.min_lr}"
        )
    if not 0 < recipe.layer_decay <= 1:
        raise UserError(f"layer_decay must be in (0, 1], not {recipe.layer_decay}")
    if recipe.schedule not in SCHEDULES:
        raise UserError(
            f"unknown schedule {recipe.schedule!r}: choose one of {', '.join(SCHEDULES)}"
        )
    if recipe.optimizer not in ("momentum", "adam"):
        raise UserError(f"unknown optimizer {recipe.optimizer!r}: choose momentum or adam")
    return recipe
