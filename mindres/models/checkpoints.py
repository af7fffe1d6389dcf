"""Builds the network of a weight file and loads its weights."""

from __future__ import annotations

from dataclasses import replace

from mindres.compat import mindspore as private
from mindres.errors import UserError
from mindres.models.build import create_model
from mindres.models.fitting import is_optimizer_state
from mindres.models.load import local_weights, put_weights
from mindres.models.recognition import identify
from mindres.weights.cache import local_file
from mindres.weights.formats import read_checkpoint
from mindres.weights.metadata import Metadata
from mindres.weights.naming import without_prefixes
from mindres.weights.publishers import PUBLISHERS


def load_model(path, **options):
    """The network of a weight file with its weights, and the file's metadata.

    Args:
        path: a path or a URL; or a publisher, with the name of the network as `arch`.
        options: options of `create_model`, with the name of the network as `arch`. A mindres
            checkpoint has them. For other files the network is guessed from names and shapes, and
            `options` override the guess.

    Returns:
        The network, and a `mindres.weights.metadata.Metadata`: its `architecture`, and `classes`,
        `mean`, `std`, `input_size` (height, width), `dataset`, `epoch`, `metric` and more, if the
        file or the publisher has them.

    Raises:
        UserError: the file is missing or damaged, the network cannot be recognised or is another
            one; or the publisher has no weights for the network.
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
        _check_recorded(metadata.architecture, shows, shown)
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
    return net, _describing(net, metadata), report


def _open_published(publisher, arch=None, **options):
    """As `open_weights`, for a publisher's weights of the network `arch`."""
    if arch is None:
        raise UserError(f"{publisher} publishes weights of several networks: name one with `arch`")
    with private.without_initial_values():
        net = create_model(arch, **options)
    path, shown = local_weights(net, publisher)
    arrays, recorded = read_checkpoint(path)
    report = put_weights(net, arrays, recorded, shown)
    # What the file itself records, such as the names of its classes, comes before the publisher's.
    metadata = Metadata.of({**net.sources[publisher].metadata(), **recorded})
    return net, _describing(net, metadata), report


def _describing(net, metadata: Metadata) -> Metadata:
    """`metadata` of a file for `net`, whose classifier may be another one than the file's."""
    if net.architecture != metadata.architecture:
        metadata = replace(metadata, confidence=None, likeness=None)
    return replace(metadata, architecture=net.architecture)


def _check_recorded(recorded, shows, shown) -> None:
    """Refuse a file whose metadata name another network than its parameters show.

    This comes before anything is built: a small file could ask for a network larger than memory.
    """
    for option in ("arch", "num_classes", "in_channels"):
        if recorded.get(option, shows.get(option)) != shows.get(option):
            raise UserError(
                f"{shown} is damaged: it records {option} {recorded[option]} and holds "
                f"{shows.get(option)}; fetch or write it again"
            )
