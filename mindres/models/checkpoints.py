"""Builds the network that a file holds, with its weights."""

from __future__ import annotations

from dataclasses import replace

from mindres.errors import UserError
from mindres.models.build import create_model
from mindres.models.fitting import is_optimizer_state
from mindres.models.load import put_weights
from mindres.models.recognition import identify
from mindres.weights.cache import find
from mindres.weights.formats import read_checkpoint
from mindres.weights.naming import without_prefixes


def load_model(path, **options):
    """The network that a weight file holds, with its weights, and what was noted with it.

    A checkpoint of mindres says which network it holds. Of another file, whose names and shapes show it, the
    `options` of `create_model`, with the name as `arch`, settle what these leave open.

    Returns the network and what was noted with it, a `mindres.weights.metadata.Metadata`: its `architecture`, and
    `classes`, `mean`, `std`, `input_size` (height, width), `dataset`, `epoch`, `metric_name`, `metric` and more as
    far as they were known.

    Raises:
        UserError: the file is missing or damaged, does not say or show which network it holds, or holds another one.
    """
    net, metadata, _ = open_weights(path, **options)
    net.metadata = metadata
    return net, metadata


def open_weights(source, **options):
    """As `load_model`, for a path or an http(s) address, with the report of `load_weights` as a third value."""
    path, shown = find(source)
    arrays, metadata = read_checkpoint(path)
    arrays = without_prefixes(arrays)
    weights = {name: value for name, value in arrays.items() if not is_optimizer_state(name)}
    shows = identify(weights)
    if metadata.architecture:
        _check_noted(metadata.architecture, shows, shown)
        shows = metadata.architecture
    if options.get("arch", shows.get("arch")) == shows.get("arch"):
        options = {**shows, **options}
    if "arch" not in options:
        raise UserError(
            f"{shown} does not say which network it holds, and its parameters do not show it: name it "
            "with --arch"
        )
    net = create_model(options.pop("arch"), **options)
    report = put_weights(net, arrays, metadata, shown)
    return net, replace(metadata, architecture=net.architecture), report


def _check_noted(noted, shows, shown) -> None:
    """Refuse a file that notes another network than its parameters show, before anything is built.

    A small file could ask for a network larger than the memory.
    """
    for option in ("arch", "num_classes", "in_channels"):
        if noted.get(option, shows.get(option)) != shows.get(option):
            raise UserError(
                f"{shown} is damaged: it notes {option} {noted[option]} and holds {shows.get(option)}; "
                "fetch or write it again"
            )
