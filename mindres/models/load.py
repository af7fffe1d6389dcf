"""Loads the weights of a file into a network."""

from __future__ import annotations

import importlib.util
import re
from pathlib import Path

import mindspore

from mindres.compat import mindspore as private
from mindres.errors import UserError
from mindres.models import recognition, registry
from mindres.models.fitting import Fitting, Report
from mindres.weights import naming
from mindres.weights.cache import local_file, published_file
from mindres.weights.formats import read_checkpoint
from mindres.weights.metadata import Metadata
from mindres.weights.publishers import MINDRES, PUBLISHERS


def load_weights(net, source) -> Report:
    """Load the weights of `source` into `net`, completely or not at all.

    A classifier with another number of classes is skipped, and convolutions whose biases the file
    lacks get biases of zero. The network's pooling is set to the one that the weights were trained
    with, which `net.architecture` records.

    Args:
        net: a network of this package.
        source: True for the first weights of this architecture that others published; a publisher,
            one of `PUBLISHERS`; a path; or a URL. The file is a MindSpore checkpoint, a
            .safetensors file or a PyTorch file, with the parameter names of mindres or of a
            publisher.

    Returns:
        A report of the parameters that were loaded, skipped and missing, with reasons.

    Raises:
        UserError: the file cannot be found, is damaged, or belongs to another network; `net` is
            unchanged.
    """
    path, shown = local_weights(net, source)
    arrays, metadata = read_checkpoint(path)
    return put_weights(net, arrays, metadata, shown)


def put_weights(net, arrays: dict, metadata: Metadata, shown: str) -> Report:
    """Load `arrays` into `net` as `load_weights` does.

    Args:
        net: a network of this package.
        arrays, metadata: as `read_checkpoint` returns them.
        shown: the file's name for messages.
    """
    arch = net.architecture["arch"]
    arrays = naming.without_prefixes(arrays)
    recorded = metadata.architecture or {}
    _check_network(net.architecture, recorded, arrays, shown)
    wanted = net.parameters_dict()
    namings = registry.family(arch).namings.values()
    found, file_naming = naming.translate(arrays, wanted, namings)
    fitting = Fitting(found, wanted, Report(shown))
    if fitting.problems:
        more = len(fitting.problems) - 3
        problems = "; ".join(fitting.problems[:3]) + (f"; and {more} more" if more > 0 else "")
        raise UserError(f"{shown} does not fit {arch}: {problems}: name other weights")
    for name, value in fitting.values.items():
        wanted[name].set_data(mindspore.Tensor(value, wanted[name].dtype))
    private.initialise_rest(net)
    _set_pad_mode(net, recorded.get("pad_mode", file_naming.pad_mode))
    return fitting.report


def local_weights(net, source) -> tuple[Path, str]:
    """The local file of `source`, which is downloaded if necessary, and its name for messages."""
    if source is not True and source not in PUBLISHERS:
        return local_file(source, f", {', '.join(PUBLISHERS)}, true or false")
    published = getattr(net, "sources", {})
    others = (publisher for publisher in published if publisher != MINDRES)
    name = next(others, None) if source is True else source
    if name is None or name not in published:
        whose = "" if source is True else f"of {source} "
        instead = f", or use {' or '.join(published)}'s" if published else ""
        raise UserError(
            f"there are no published weights {whose}for {net.architecture['arch']}: "
            f"name a file{instead}"
        )
    _check_reader(name, published)
    return published_file(published[name]), f"{name}'s {published[name].name}"


def _check_reader(name: str, published: dict) -> None:
    """Refuse weights that need PyTorch if it is not installed, before they are downloaded."""
    if not PUBLISHERS[name].takes_pytorch or importlib.util.find_spec("torch"):
        return
    others = [other for other in published if not PUBLISHERS[other].takes_pytorch]
    instead = f", or use {' or '.join(others)}'s" if others else ""
    raise UserError(f"{name}'s weights need PyTorch to be read: pip install torch{instead}")


def _check_network(wanted: dict, recorded: dict, arrays: dict, shown: str) -> None:
    """Raise `UserError` if the file's metadata or parameters show another network."""
    for pattern, what in registry.family(wanted["arch"]).lookalikes.items():
        if any(re.search(pattern, name) for name in arrays):
            raise UserError(f"{shown} is {what}")
    likely = recorded or recognition.identify(arrays)
    arch = likely.get("arch", wanted["arch"])
    says = f"{shown} {'holds' if recorded else 'looks like'} a {arch}"
    if arch != wanted["arch"]:
        raise UserError(f"{says}, not a {wanted['arch']}: use `arch={arch}`, or other weights")
    for option in ("shortcut", "in_channels"):
        if option in wanted and likely.get(option, wanted[option]) != wanted[option]:
            raise UserError(
                f"{says} with {option} {likely[option]}, not {wanted[option]}: build the network "
                "with that option, or name other weights"
            )


def _set_pad_mode(net, pad_mode: str) -> None:
    if net.architecture.get("pad_mode", pad_mode) != pad_mode:
        net.backbone.set_pad_mode(pad_mode)
        net.architecture = {**net.architecture, "pad_mode": pad_mode}
        # MindSpore would continue to use the graph of the old pooling.
        private.forget_compiled(net)
