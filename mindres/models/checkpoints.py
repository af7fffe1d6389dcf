"""Builds the network that a file holds, with its weights."""

from __future__ import annotations

from dataclasses import replace

from mindres.compat import mindspore as private
from mindres.errors import UserError
from mindres.models.build import create_model
from mindres.models.fitting import is_optimizer_state
from mindres.models.load import load_weights, put_weights
from mindres.models.recognition import identify
from mindres.weights.cache import local_file
from mindres.weights.formats import read_checkpoint
from mindres.weights.naming import without_prefixes
from mindres.weights.publishers import PUBLISHERS


def load_model(path, **options):
    """The network that a weight file holds, with its weights, and what was noted with it.

    Args:
        path: a path or an http(s) address; or a publisher's name, with the network's name as
            `arch`.
        options: of `create_model`, with the network's name as `arch`. A checkpoint of mindres says
            which network it holds. For another file the network is guessed from names and shapes,
            and `options` override the guess.

    Returns:
        The network, and a `mindres.weights.metadata.Metadata`: its `architecture`, and `classes`,
        `mean`, `std`, `input_size` (height, width), `dataset`, `epoch`, `metric` and more as far as
        the file or the publisher says.

    Raises:
        UserError: the file is missing or damaged, does not say or show which network it holds, or
            holds another one; or the publisher has no weights for the network.
    """
    net, metadata, _ = open_weights(path, **options)
    net.metadata = metadata
    return net, metadata


def open_weights(source, **options):
    """As `load_model`, with the report of `load_weights` as a third value."""
    if source in PUBLISHERS:
        return _open_published(source, **options)
    path, shown = local_file(source)
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
            f"{shown} does not say which network it holds, and its parameters do not show it: "
            "name it with `arch`"
        )
    with private.without_initial_values():
        net = create_model(options.pop("arch"), **options)
    report = put_weights(net, arrays, metadata, shown)
    # A fresh classifier is as sure as it is: what was noted speaks of the one before.
    same = net.architecture == metadata.architecture
    confidence = metadata.confidence if same else None
    return net, replace(metadata, architecture=net.architecture, confidence=confidence), report


def _open_published(publisher, arch=None, **options):
    """As `open_weights`, for the weights that a publisher has for the network called `arch`."""
    if arch is None:
        raise UserError(f"{publisher} publishes weights of several networks: name one with `arch`")
    with private.without_initial_values():
        net = create_model(arch, **options)
    report = load_weights(net, publisher)
    metadata = net.sources[publisher].metadata()
    return net, replace(metadata, architecture=net.architecture), report


def _check_noted(noted, shows, shown) -> None:
    """Refuse a file that notes another network than its parameters show, before anything is built.

    A small file could ask for a network larger than the memory.
    """
    for option in ("arch", "num_classes", "in_channels"):
        if noted.get(option, shows.get(option)) != shows.get(option):
            raise UserError(
                f"{shown} is damaged: it notes {option} {noted[option]} and holds "
                f"{shows.get(option)}; fetch or write it again"
            )
