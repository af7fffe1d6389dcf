"""Every network by its name, and the two things done to any of them: build it, give it another classifier."""

from __future__ import annotations

import difflib
import fnmatch

from mindvision.classification.models.head import DenseHead

from mindres.errors import UserError
from mindres.resnet import resnet18, resnet34, resnet50, resnet101, resnet152
from mindres.weights import load_weights, read_checkpoint

MODELS = {function.__name__: function for function in (resnet18, resnet34, resnet50, resnet101, resnet152)}


def list_models(pattern="*"):
    """The names of the networks that match a shell-style `pattern`, in the order of the table."""
    return [name for name in MODELS if fnmatch.fnmatchcase(name, pattern)]


def create_model(name, **options):
    """Build the network called `name` with its function's options, such as `num_classes` and `pretrained`.

    Raises:
        UserError: there is no such network (the nearest names are suggested) or no such option.
    """
    if name not in MODELS:
        near = difflib.get_close_matches(str(name), MODELS, n=3) or list(MODELS)
        raise UserError(f"unknown network {name!r}: did you mean {' or '.join(near)}?")
    return MODELS[name](**options)


def reset_head(net, num_classes):
    """Replace the classifier of `net` by a fresh one of `num_classes` outputs, which is what fine-tuning does.

    Returns the network, whose other weights are untouched.
    """
    net.head = DenseHead(net.head.dense.in_channels, num_classes)
    net.architecture = {**net.architecture, "num_classes": num_classes}
    return net


def load_model(path):
    """The network that a checkpoint written by mindres holds, and what was noted with it.

    Returns the network with its weights, and the metadata: `classes`, `mean`, `std`, `input_size` (height, width),
    `dataset`, `epoch`, `metric_name`, `metric`, as far as they were known.

    Raises:
        UserError: the file is missing or damaged, or does not say which network it holds.
    """
    _, metadata = read_checkpoint(path)
    if not metadata.get("architecture"):
        raise UserError(f"{path} does not say which network it holds: it was not written by mindres")
    options = dict(metadata["architecture"])
    net = create_model(options.pop("arch"), **options)
    load_weights(net, path)
    return net, metadata
