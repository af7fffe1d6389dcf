"""Builds a network by its name, and gives it another classifier."""

from __future__ import annotations

import inspect

from mindspore import nn

from mindres.compat import mindspore as private
from mindres.errors import UserError
from mindres.models.classic import check_size
from mindres.models.registry import MODELS, known


def create_model(name, **options):
    """Build the network called `name` with its function's options, such as `num_classes` and `pretrained`.

    Raises:
        UserError: there is no such network (the nearest names are suggested) or no such option.
    """
    function = MODELS[known(name)]
    accepted = inspect.signature(function).parameters
    for option in options:
        if option not in accepted:
            raise UserError(
                f"{name} has no option {option!r}: its options are {', '.join(accepted)}"
            )
    return function(**options)


def reset_head(net, num_classes):
    """Replace each classifier of `net` by a fresh one of `num_classes` outputs, which is what fine-tuning does.

    Auxiliary classifiers are classifiers too. Returns the network, whose other weights are untouched.
    """
    parts = {
        "head": net.head,
        **{f"aux.{i}": part for i, part in enumerate(getattr(net, "aux", []))},
    }
    for name, part in parts.items():
        part.dense = nn.Dense(part.dense.in_channels, num_classes)
        part.update_parameters_name(f"{name}.")
    net.architecture = {**net.architecture, "num_classes": num_classes}
    # MindSpore would go on with the graph that it has compiled of the old layers.
    private.forget_compiled(net)
    return net


def check_images(net, size) -> None:
    """Raise `UserError` where `net` takes no images of this `size` (height, width).

    The network says so itself while it is compiled, but among pages of MindSpore's.
    """
    check_size((0, 0, *size), *getattr(net.backbone, "sides", (1,)))
