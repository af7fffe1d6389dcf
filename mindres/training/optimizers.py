"""The optimizers by name."""

from __future__ import annotations

from mindspore import nn

from mindres.errors import UserError


def make_optimizer(net, recipe, rates):
    """The optimizer of `recipe` over the trainable parameters of `net`, grouped by weight decay and learning rate.

    `rates` has the learning rate of every step.
    """
    groups = []
    depth = stage_depths(net)
    for scale in sorted({recipe.layer_decay ** depth(p.name) for p in net.trainable_params()}):
        for decays in (True, False):
            members = [
                p
                for p in net.trainable_params()
                if recipe.layer_decay ** depth(p.name) == scale
                and (recipe.decay_all or p.ndim > 1) == decays
            ]
            if members:
                groups.append(
                    {
                        "params": members,
                        "weight_decay": recipe.weight_decay if decays else 0.0,
                        "lr": [rate * scale for rate in rates],
                    }
                )
    if not groups:
        raise UserError("every parameter is frozen: there is nothing to train")
    if len(groups) == 1:
        groups, rates = groups[0]["params"], groups[0]["lr"]
        decay = recipe.weight_decay if recipe.decay_all else 0.0
    else:
        # MindSpore wants the groups' order to be the network's, so that the gradients find their parameters.
        groups.append({"order_params": net.trainable_params()})
        decay = 0.0
    if recipe.optimizer == "adam":
        return nn.Adam(groups, rates, weight_decay=decay)
    if recipe.nesterov:
        # nn.Momentum's CPU kernel takes `use_nesterov` and ignores it.
        return nn.SGD(groups, rates, recipe.momentum, weight_decay=decay, nesterov=True)
    return nn.Momentum(groups, rates, recipe.momentum, weight_decay=decay)


def stage_depths(net):
    """A function from a parameter's name to its distance from the classifier in stages: 0 for head and neck."""
    stages = list(dict.fromkeys(stage_of(p.name) for p in net.get_parameters()))
    order = {stage: len(stages) - 1 - i for i, stage in enumerate(stages)}
    return lambda name: order[stage_of(name)]


def stage_of(name: str) -> str:
    """The stage that a parameter belongs to: "layer1" of `backbone.layer1.0.conv1...`, or "head"."""
    part, _, rest = name.partition(".")
    return rest.partition(".")[0] if part == "backbone" else "head"
