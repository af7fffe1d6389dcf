"""The arguments of `mindres.train`, checked and resolved."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import mindspore

from mindres.data.dataset import ImageDataset
from mindres.devices import DEFAULTS, workers
from mindres.errors import UserError, unknown
from mindres.evaluation.metrics import METRICS
from mindres.native.precision import resolve_amp
from mindres.runs.config import recorded_amp_level
from mindres.runs.folder import RunFolder
from mindres.training.recipes import Recipe, make_recipe, unused_options

MODES = {"graph": mindspore.GRAPH_MODE, "pynative": mindspore.PYNATIVE_MODE}


@dataclass
class Arguments:
    """The resolved arguments of `mindres.train`, where they are documented.

    recipe: the recipe with every override in place; `recipe_name` is its name.
    amp_level: "O0" to "O3".
    sink: whether the steps of an epoch stay on the device.
    """

    recipe_name: str
    recipe: Recipe
    freeze: str
    amp_level: str
    mode: str
    select: str
    balance: str
    max_seconds: float | None
    linear_probe: bool
    ckpt_dir: Any
    keep_best: int
    overwrite: bool
    resume: bool
    max_steps: int | None
    tensorboard: Any
    cache_features: bool
    sink: bool
    config: dict

    def recorded(self) -> dict:
        """The entries of `config.json` for the arguments."""
        return {
            **self.config,
            "recipe": self.recipe_name,
            **self.recipe.values(),
            "freeze": self.freeze,
            "amp_level": self.amp_level,
            "select": self.select,
            "balance": self.balance,
        }

    def keeps_features(self, train_data, val_data) -> bool:
        """Whether the features of the frozen backbone are computed once and cached."""
        return (
            self.freeze == "backbone"
            and self.cache_features
            and workers.size() == 1
            and isinstance(train_data, ImageDataset)
            and isinstance(val_data, ImageDataset)
        )


def resolve(
    recipe: str, overrides: dict, *, amp_level, mode, select, max_steps, resume, ckpt_dir,
    dataset_sink_mode, config, **others,
) -> Arguments:  # fmt: skip
    """Check the arguments of `mindres.train` and resolve those that depend on the device.

    Raises:
        UserError: an argument is out of range.
    """
    plan = make_recipe(recipe, **overrides)
    for sentence in unused_options(recipe, overrides):
        workers.warn(sentence)
    if max_steps is not None and max_steps < 1:
        raise UserError(f"`max_steps` must be at least 1, not {max_steps}")
    if mode not in MODES:
        raise unknown("mode", mode, MODES)
    if select not in METRICS:
        raise unknown("metric to select by", select, METRICS)
    if resume and ckpt_dir is None:
        raise UserError("there is nothing to resume without `ckpt_dir`")
    sink = dataset_sink_mode
    if sink is None:
        sink = mode == "graph" and DEFAULTS[_device()].dataset_sink_mode
    return Arguments(
        recipe_name=recipe,
        recipe=plan,
        amp_level=amp_level_of_run(amp_level, resume, ckpt_dir),
        mode=mode,
        select=select,
        ckpt_dir=ckpt_dir,
        resume=resume,
        max_steps=max_steps,
        sink=sink and max_steps is None,
        config=dict(config or {}),
        **others,
    )


def amp_level_of_run(level: str, resume: bool, ckpt_dir) -> str:
    """The level of mixed precision; "auto" means that of a resumed run, else the device's."""
    if level == "auto" and resume and (recorded := recorded_amp_level(RunFolder(ckpt_dir).config)):
        level = recorded
    return resolve_amp(level)


def _device() -> str:
    return mindspore.get_context("device_target")
