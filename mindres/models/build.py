"""Builds a network by its name, and gives it another classifier."""

from __future__ import annotations

import inspect

from mindspore import nn
from mindspore.common.initializer import HeNormal, initializer

from mindres.compat import mindspore as private
from mindres.errors import UserError
from mindres.models import registry
from mindres.models.layers import check_channels, check_size
from mindres.models.load import load_weights

MOST_CLASSES = 1_000_000  # the most that a classifier may tell apart


def create_model(name, **options):
    """Build the network called `name`.

    Args:
        name: a name that `list_models` gives.
        options: the arguments of its function, such as `num_classes` and `pretrained`.

    Raises:
        UserError: there is no such network (the nearest names are suggested) or option, or there
            are too many classes.
    """
    function = registry.function(name)
    accepted = inspect.signature(function).parameters
    for option in options:
        if option not in accepted:
            raise UserError(
                f"{name} has no option {option!r}: its options are {', '.join(accepted)}"
            )
    _check_num_classes(options.get("num_classes", 1))
    return function(**options)


def _check_num_classes(number) -> None:
    """Refuse a classifier that no memory holds: MindSpore's error would blame the batch size."""
    if not 1 <= number <= MOST_CLASSES:
        raise UserError(f"`num_classes` must be from 1 to {MOST_CLASSES:,}, not {number:,}")


def finish(net, architecture, pretrained=False, weights=None):
    """What every network's function does last: initial weights, description, published weights.

    Convolutions start from Kaiming's normal distribution, fan-out (arXiv:1502.01852, section 2.2).

    Args:
        net: the network.
        architecture: its name, "arch", and the options with which `create_model` builds it again.
        pretrained: what `load_weights` shall load, or False.
        weights: published weights of this network by publisher.

    Returns:
        `net`, in inference.
    """
    distribution = HeNormal(mode="fan_out", nonlinearity="relu")
    for _, cell in net.cells_and_names():
        if isinstance(cell, nn.Conv2d):
            shape, dtype = cell.weight.shape, cell.weight.dtype
            cell.weight.set_data(initializer(distribution, shape, dtype))
    net.architecture = architecture
    net.sources = weights or {}
    # A new cell infers, but MindSpore would keep its compiled graph as the one for training.
    net.set_train(False)
    if pretrained:
        load_weights(net, pretrained)
    return net


def reset_head(net, num_classes):
    """Replace each classifier of `net` by a fresh one of `num_classes` outputs, for fine-tuning.

    Auxiliary classifiers are classifiers too. Returns the network, whose other weights stay.
    """
    classifiers = {f"aux.{i}": part for i, part in enumerate(getattr(net, "aux", []))}
    classifiers["head"] = net.head
    for name, part in classifiers.items():
        part.dense = nn.Dense(part.dense.in_channels, num_classes)
        part.update_parameters_name(f"{name}.")
    net.architecture = {**net.architecture, "num_classes": num_classes}
    net.metadata = None  # it speaks of the classes of before
    # MindSpore would go on with the graph that it has compiled of the old layers.
    private.forget_compiled(net)
    return net


def check_images(net, shape) -> None:
    """Raise `UserError` where `net` takes no images of this `shape` (channels, height, width).

    MindSpore says so itself while it compiles the network, but among pages of its own.
    """
    shape = (0, *shape)
    check_channels(shape, getattr(net, "architecture", {}).get("in_channels", shape[1]))
    check_size(shape, *getattr(net.backbone, "sides", (1,)))
