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
from mindres.weights.cache import download_weights, local_file
from mindres.weights.formats import read_checkpoint
from mindres.weights.metadata import Metadata
from mindres.weights.publishers import PUBLISHERS


def load_weights(net, source) -> Report:
    """Put the weights of `source` into `net`, all of them or none.

    Args:
        net: a network of this package.
        source: True for the weights that are published for this architecture, or the name of their
            publisher (one of `PUBLISHERS`); a path; or an http(s) address. The file is a MindSpore
            checkpoint, a .safetensors file or a PyTorch one, with the parameter names of mindres
            or of a publisher.

    A classifier with another number of classes is left out, and biases that only the network's
    convolutions have become zero. From now on the network pools as the weights were trained, which
    `net.architecture` notes.

    Raises:
        UserError: the file cannot be had, is damaged, or belongs to another network; `net` is
            unchanged.
    """
    path, shown = local_weights(net, source)
    arrays, metadata = read_checkpoint(path)
    return put_weights(net, arrays, metadata, shown)


def put_weights(net, arrays: dict, metadata: Metadata, shown: str) -> Report:
    """Put `arrays` into `net` as `load_weights` does.

    Args:
        net: a network of this package.
        arrays, metadata: as `read_checkpoint` returns them.
        shown: the file's name for messages.
    """
    arch = net.architecture["arch"]
    arrays = naming.without_prefixes(arrays)
    noted = metadata.architecture or {}
    _check_network(net.architecture, noted, arrays, shown)
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
    _set_pad_mode(net, noted.get("pad_mode", file_naming.pad_mode))
    return fitting.report


def local_weights(net, source) -> tuple[Path, str]:
    """The local file of `source`, downloaded and verified if need be, and its name for messages."""
    if source is not True and source not in PUBLISHERS:
        return local_file(source, f", {', '.join(PUBLISHERS)}, true or false")
    published = getattr(net, "sources", {})
    name = next(iter(published), None) if source is True else source
    if name is None or name not in published:
        whose = "" if source is True else f"of {source} "
        others = f", or take {' or '.join(published)}'s" if published else ""
        raise UserError(
            f"there are no published weights {whose}for {net.architecture['arch']}: "
            f"name a file{others}"
        )
    _check_reader(name, published)
    return download_weights(published[name]), f"{name}'s {published[name].name}"


def _check_reader(name: str, published: dict) -> None:
    """Refuse weights that take PyTorch where there is none, before they are downloaded."""
    if not PUBLISHERS[name].takes_pytorch or importlib.util.find_spec("torch"):
        return
    others = [other for other in published if not PUBLISHERS[other].takes_pytorch]
    instead = f", or take {' or '.join(others)}'s" if others else ""
    raise UserError(f"{name}'s weights take PyTorch to be read: pip install torch{instead}")


def _check_network(wanted: dict, noted: dict, arrays: dict, shown: str) -> None:
    """Raise `UserError` where the file says, or shows, that it holds another network."""
    for pattern, what in registry.family(wanted["arch"]).lookalikes.items():
        if any(re.search(pattern, name) for name in arrays):
            raise UserError(f"{shown} is {what}")
    likely = noted or recognition.identify(arrays)
    arch = likely.get("arch", wanted["arch"])
    says = f"{shown} {'holds' if noted else 'looks like'} a {arch}"
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
        # MindSpore would go on with the graph that it has compiled of the old pooling.
        private.forget_compiled(net)
