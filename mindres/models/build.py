"""Builds a network by its name, and replaces its classifier."""

from __future__ import annotations

import inspect

from mindspore import nn
from mindspore.common.initializer import HeNormal, initializer

from mindres.compat import mindspore as private
from mindres.errors import UserError
from mindres.models import registry
from mindres.models.layers import check_channels, check_size
from mindres.models.load import load_weights

MOST_CLASSES = 1_000_000


def create_model(name, **options):
    """Build the network called `name`.

    Args:
        name: one of `list_models()`.
        options: the arguments of its function, such as `num_classes` and `pretrained`.

    Raises:
        UserError: there is no such network or option, or there are too many classes.
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
    """Refuse a classifier too large for memory: MindSpore's error would blame the batch size."""
    if not 1 <= number <= MOST_CLASSES:
        raise UserError(f"`num_classes` must be from 1 to {MOST_CLASSES:,}, not {number:,}")


def finish(net, architecture, pretrained=False, weights=None):
    """Finish a network: initial weights, its architecture, and published weights.

    Convolutions are initialised from Kaiming's normal distribution with fan-out (arXiv:1502.01852,
    section 2.2).

    Args:
        net: the network.
        architecture: the options of `create_model` that build it again, with its name as "arch".
        pretrained: the source for `load_weights`, or False.
        weights: published weights of this network by publisher.

    Returns:
        `net`, in inference mode.
    """
    distribution = HeNormal(mode="fan_out", nonlinearity="relu")
    for _, cell in net.cells_and_names():
        if isinstance(cell, nn.Conv2d):
            shape, dtype = cell.weight.shape, cell.weight.dtype
            cell.weight.set_data(initializer(distribution, shape, dtype))
    net.architecture = architecture
    net.sources = weights or {}
    # New cells are in inference mode, but MindSpore would reuse their graph for training.
    net.set_train(False)
    if pretrained:
        load_weights(net, pretrained)
    return net


def reset_head(net, num_classes):
    """Replace each classifier of `net` by a new one with `num_classes` outputs, for fine-tuning.

    This includes auxiliary classifiers. Other weights stay. Returns `net`.
    """
    classifiers = {f"aux.{i}": part for i, part in enumerate(getattr(net, "aux", []))}
    classifiers["head"] = net.head
    for name, part in classifiers.items():
        part.dense = nn.Dense(part.dense.in_channels, num_classes)
        part.update_parameters_name(f"{name}.")
    net.architecture = {**net.architecture, "num_classes": num_classes}
    net.metadata = None  # which describes the old classes
    # MindSpore would continue to use the graph of the old layers.
    private.forget_compiled(net)
    return net


def check_images(net, shape) -> None:
    """Raise `UserError` if `net` cannot take images of `shape` (channels, height, width).

    The network's own check would come while MindSpore compiles it, among pages of other messages.
    """
    shape = (0, *shape)
    check_channels(shape, getattr(net, "architecture", {}).get("in_channels", shape[1]))
    check_size(shape, *getattr(net.backbone, "sides", (1,)))
