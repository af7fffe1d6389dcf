"""Puts the weights of a file into a network."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from pathlib import Path

import mindspore
import numpy as np

from mindres.compat import mindspore as private
from mindres.errors import UserError
from mindres.weights import naming
from mindres.weights.cache import fetch, find
from mindres.weights.formats import read_checkpoint
from mindres.weights.metadata import Metadata
from mindres.weights.publishers import PUBLISHERS

# `last.ckpt` has the state of the training under "optimizer."; the other names are those of version 0.1.0 and of
# MindSpore's own checkpoints of a training.
OPTIMIZER_STATE = re.compile(
    r"^(optimizer|moments|moment1|moment2|accum|accumulated|stat|ema|momentum|learning_rate|"
    r"global_step|beta[12]_power)\b"
)


@dataclass
class Report:
    """What `load_weights` did: names loaded; names skipped and missing, each with the reason."""

    source: str
    loaded: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def __str__(self):
        lines = [f"{len(self.loaded)} parameters loaded from {self.source}"]
        for title, reasons in (
            ("not taken from the file", self.skipped),
            ("not loaded", self.missing),
        ):
            for reason in dict.fromkeys(reasons.values()):
                same = [name for name in reasons if reasons[name] == reason]
                shown = ", ".join(same[:2]) + (
                    f" and {len(same) - 2} more" if len(same) > 2 else ""
                )
                lines.append(f"  {title}: {shown} ({reason})")
        return "\n".join(lines)


def load_weights(net, source) -> Report:
    """Put the weights of `source` into `net`, all of them or none.

    Args:
        net: a network of this package.
        source: True for the weights that are published for this architecture, or the name of their publisher
            (one of `PUBLISHERS`); a path; or an http(s) address. The file is a MindSpore checkpoint, a
            .safetensors file or a PyTorch one, with the parameter names of mindres, of a publisher, or of timm.

    A classifier with another number of classes is left out, and biases that only the network's convolutions have
    become zero. The network pools from now on as the one did that the weights were trained with, which
    `net.architecture` notes.

    Raises:
        UserError: the file cannot be had, is damaged, or belongs to another network; `net` is unchanged.
    """
    path, shown = locate(net, source)
    return put_weights(net, *read_checkpoint(path), shown)


def put_weights(net, arrays: dict, metadata: Metadata, shown: str) -> Report:
    """Put `arrays` into `net` as `load_weights` does; both come from `read_checkpoint`, `shown` names the file."""
    arrays = naming.without_prefixes(arrays)
    noted = metadata.architecture or {}
    _check_network(net.architecture, noted, arrays, shown)
    wanted = net.parameters_dict()
    found, file_naming = naming.translate(arrays, wanted, net.architecture["arch"])
    report = Report(shown)
    values, problems = _fit(found, wanted, report)
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(
            f"{shown} does not fit {net.architecture['arch']}: {'; '.join(problems[:3])}{more}: "
            "name other weights"
        )
    for name, value in values.items():
        wanted[name].set_data(mindspore.Tensor(value, wanted[name].dtype))
    _set_pad_mode(net, noted.get("pad_mode", file_naming.pad_mode))
    return report


def _check_network(wanted: dict, noted: dict, arrays: dict, shown: str) -> None:
    """Raise `UserError` where the file says, or its parameters show, that it holds another network."""
    if wanted["arch"] == "googlenet" and naming.is_mindcv_googlenet(arrays):
        raise UserError(
            f"{shown} is MindCV's GoogLeNet, which has no batch normalisation (6,991,272 parameters): "
            "another network than this one, which takes torchvision's weights"
        )
    likely = noted or naming.identify(arrays)
    says = f"{shown} {'holds' if noted else 'looks like'} a {likely.get('arch')}"
    if likely.get("arch", wanted["arch"]) != wanted["arch"]:
        raise UserError(
            f"{says}, not a {wanted['arch']}: use --arch {likely['arch']}, or other weights"
        )
    for option in ("shortcut", "in_channels"):
        if option in wanted and likely.get(option, wanted[option]) != wanted[option]:
            raise UserError(
                f"{says} with {option} {likely[option]}, not {wanted[option]}: build the network with that "
                "option, or name other weights"
            )


def _fit(found: dict, wanted: dict, report: Report) -> tuple[dict, list[str]]:
    """The value for each of the network's parameters, and what speaks against `found`; the rest goes to `report`."""
    values, biases, problems = {}, {}, []
    for name, value in found.items():
        if name in wanted:
            shape = tuple(wanted[name].shape)
            if value.ndim == 4 and len(shape) == 2 and value.size == math.prod(shape):
                value = value.reshape(
                    shape
                )  # timm's VGG has convolutions for its fully connected layers
            if value.shape == shape:
                values[name] = value
            elif naming.CLASSIFIER.match(name) and value.shape[1:] == shape[1:]:
                report.skipped[name] = (
                    f"the file has {value.shape[0]} classes, the network {shape[0]}"
                )
            else:
                problems.append(f"{name} is {value.shape} in the file and {shape} in the network")
        elif name.endswith("num_batches_tracked"):
            report.skipped[name] = "a counter that nothing here uses"
        elif OPTIMIZER_STATE.match(name):
            report.skipped[name] = "optimizer state"
        elif name.lower().startswith("aux") and not any(name.startswith("aux.") for name in wanted):
            report.skipped[name] = "the network has no auxiliary classifiers"
        elif name.endswith(".features.0.bias"):
            biases[name] = value
        else:
            problems.append(f"the network has no {name}")
    has_aux = any(name.startswith("aux.") for name in found)
    for name in wanted:
        weight = f"{name.removesuffix('bias')}weight"
        if name in values:
            report.loaded.append(name)
        elif name in report.skipped:
            report.missing[name] = report.skipped.pop(name)
        elif naming.CLASSIFIER.match(name) or (name.startswith("aux.") and not has_aux):
            report.missing[name] = "kept as initialised"
        elif (
            name.endswith(".bias")
            and weight in values
            and values[weight].ndim == 4
            and name not in found
        ):
            values[name] = np.zeros(wanted[name].shape, np.float32)
            report.missing[name] = "trained without: zero"
        elif name not in found:
            problems.append(f"the file has no {name}")
    for name, bias in biases.items():
        mean = f"{name.removesuffix('0.bias')}1.moving_mean"
        if mean in values and bias.shape == values[mean].shape:
            values[mean] = values[mean] - bias
            report.skipped[name] = "batch normalisation cancels it: subtracted from the mean"
        else:
            problems.append(f"the network has no {name}")
    return values, problems


def _set_pad_mode(net, pad_mode: str) -> None:
    if net.architecture.get("pad_mode", pad_mode) != pad_mode:
        net.backbone.set_pad_mode(pad_mode)
        net.architecture = {**net.architecture, "pad_mode": pad_mode}
        # MindSpore would go on with the graph that it has compiled of the old pooling.
        private.forget_compiled(net)


def locate(net, source) -> tuple[Path, str]:
    """The local file of `source`, downloaded and verified if need be, and its name for messages."""
    if source is True or source in PUBLISHERS:
        published = getattr(net, "sources", {})
        name = next(iter(published), None) if source is True else source
        if name not in published:
            others = f", or take {' or '.join(published)}'s" if published else ""
            raise UserError(
                f"there are no published weights {'' if source is True else f'of {source} '}for "
                f"{net.architecture['arch']}: name a file{others}"
            )
        return fetch(published[name]), f"{name}'s {published[name].name}"
    return find(source, f", {', '.join(PUBLISHERS)}, true or false")
