"""Optimizers. A new one is a row of `OPTIMIZERS`."""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mindres.errors import UserError


@dataclass(frozen=True)
class Optimizer:
    """A row: the description of an optimizer, its class, and its arguments.

    make: dotted name of a class or function that is called with groups of parameters, the learning
        rate of every step, and `weight_decay`.
    takes: the fields of the recipe that are passed under their own names.
    defaults: further arguments by name.
    """

    description: str
    make: str
    takes: tuple[str, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)


OPTIMIZERS = {
    "momentum": Optimizer(
        "SGD with momentum", "mindres.training.sgd.momentum_or_nesterov", ("momentum", "nesterov")
    ),
    "adam": Optimizer("Adam with L2 penalty", "mindspore.nn.Adam"),
    "adamw": Optimizer("Adam with decoupled weight decay", "mindres.training.adamw.AdamW"),
}


def make_optimizer(net, recipe, rates):
    """The optimizer of `recipe` for the trainable parameters of `net`.

    Args:
        rates: the learning rate of every step, before `layer_decay`.

    Raises:
        UserError: `net` has no trainable parameters.
    """
    groups = _groups(net, recipe, rates)
    if not groups:
        raise UserError("every parameter is frozen: there is nothing to train")
    if len(groups) == 1:
        parameters = groups[0]["params"]
        rates = groups[0]["lr"]
        decay = groups[0]["weight_decay"]
    else:
        # Gradients come in the network's order, which MindSpore has to be told beside the groups.
        parameters = [*groups, {"order_params": net.trainable_params()}]
        decay = 0.0
    row = OPTIMIZERS[recipe.optimizer]
    module, _, name = row.make.rpartition(".")
    options = {field: getattr(recipe, field) for field in row.takes}
    make = getattr(importlib.import_module(module), name)
    return make(parameters, rates, weight_decay=decay, **{**row.defaults, **options})


def _groups(net, recipe, rates) -> list[dict]:
    """The trainable parameters, grouped by learning rate and weight decay."""
    depth = stage_depths(net)
    members: dict[tuple[float, bool], list] = {}
    for parameter in net.trainable_params():
        scale = recipe.layer_decay ** depth(parameter.name)
        decays = recipe.decay_all or parameter.ndim > 1
        members.setdefault((scale, not decays), []).append(parameter)
    return [
        {
            "params": parameters,
            "weight_decay": 0.0 if spared else recipe.weight_decay,
            "lr": [rate * scale for rate in rates],
        }
        for (scale, spared), parameters in sorted(members.items(), key=lambda item: item[0])
    ]


def stage_depths(net):
    """A function from a parameter's name to its distance from the classifier in stages.

    The distance of head and neck is 0.
    """
    stages = list(dict.fromkeys(stage_of(p.name) for p in net.get_parameters()))
    order = {stage: len(stages) - 1 - i for i, stage in enumerate(stages)}
    return lambda name: order[stage_of(name)]


def stage_of(name: str) -> str:
    """The stage of a parameter, such as "layer1"; "head" for the neck and the head."""
    part, _, rest = name.partition(".")
    return rest.partition(".")[0] if part == "backbone" else "head"
