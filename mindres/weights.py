"""Where weights come from: publishers, addresses and files; how they are verified, named, loaded and saved."""

from __future__ import annotations

import hashlib
import math
import os
import re
from dataclasses import dataclass, field
from pathlib import Path

import mindspore
import numpy as np

from mindres import files, names
from mindres.errors import UserError
from mindres.formats import read_checkpoint, write_checkpoint

# Whose weights can be asked for by name, and where they state their accuracy.
PUBLISHERS = {
    "mindvision": "the README of each network in MindVision's repository, gitee.com/mindspore/vision",
    "mindcv": "the README of each network in github.com/mindspore-lab/mindcv, configs/",
    "torchvision": "torchvision.models, the metadata of the IMAGENET1K_V1 weights",
    "akamaster": "the README of github.com/akamaster/pytorch_resnet_cifar10",
    "chenyaofo": "the README of github.com/chenyaofo/pytorch-cifar-models",
}
OPTIMIZER_STATE = re.compile(r"^(moments|moment1|moment2|accum|accumulated|stat|ema|momentum|learning_rate|"
                             r"global_step|beta[12]_power)\b")


@dataclass(frozen=True)
class Source:
    """Weights that somebody publishes, and what one must know to use them.

    `sha256` holds the digest's first digits, where the file's name carries them; `mean` and `std` normalise
    images in [0, 1]; `input_size` is the side they are meant for; `top1` is the published accuracy, a fraction.
    """

    url: str
    sha256: str | None = None
    num_classes: int = 1000
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    input_size: int = 224
    top1: float | None = None

    def __post_init__(self):
        if self.sha256 is None:
            found = re.search(r"-([0-9a-f]{8,64})\.\w+$", self.url)
            object.__setattr__(self, "sha256", found and found[1])


@dataclass
class Report:
    """What `load_weights` did: names loaded; names skipped and missing, each with the reason."""

    source: str
    loaded: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def __str__(self):
        lines = [f"{len(self.loaded)} parameters loaded from {self.source}"]
        for title, reasons in (("not taken from the file", self.skipped), ("not loaded", self.missing)):
            for reason in dict.fromkeys(reasons.values()):
                same = [name for name in reasons if reasons[name] == reason]
                shown = ", ".join(same[:2]) + (f" and {len(same) - 2} more" if len(same) > 2 else "")
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


def put_weights(net, arrays: dict, metadata: dict, shown: str) -> Report:
    """Put `arrays` into `net` as `load_weights` does; both come from `read_checkpoint`, `shown` names the file."""
    arrays = names.without_prefixes(arrays)
    noted = metadata.get("architecture", {})
    _check_network(net.architecture, noted, arrays, shown)
    wanted = net.parameters_dict()
    found, naming = names.translate(arrays, wanted, net.architecture["arch"])
    report = Report(shown)
    values, problems = _fit(found, wanted, report)
    if problems:
        more = f"; and {len(problems) - 3} more" if len(problems) > 3 else ""
        raise UserError(f"{shown} does not fit {net.architecture['arch']}: {'; '.join(problems[:3])}{more}: "
                        "name other weights")
    for name, value in values.items():
        wanted[name].set_data(mindspore.Tensor(value, wanted[name].dtype))
    _set_pad_mode(net, noted.get("pad_mode", naming.pad_mode))
    return report


def _check_network(wanted: dict, noted: dict, arrays: dict, shown: str) -> None:
    """Raise `UserError` where the file says, or its parameters show, that it holds another network."""
    if wanted["arch"] == "googlenet" and names.is_mindcv_googlenet(arrays):
        raise UserError(f"{shown} is MindCV's GoogLeNet, which has no batch normalisation (6,991,272 parameters): "
                        "another network than this one, which takes torchvision's weights")
    likely = noted or names.identify(arrays)
    says = f"{shown} {'holds' if noted else 'looks like'} a {likely.get('arch')}"
    if likely.get("arch", wanted["arch"]) != wanted["arch"]:
        raise UserError(f"{says}, not a {wanted['arch']}: use --arch {likely['arch']}, or other weights")
    for option in ("shortcut", "in_channels"):
        if option in wanted and likely.get(option, wanted[option]) != wanted[option]:
            raise UserError(f"{says} with {option} {likely[option]}, not {wanted[option]}: build the network with that "
                            "option, or name other weights")


def _fit(found: dict, wanted: dict, report: Report) -> tuple[dict, list[str]]:
    """The value for each of the network's parameters, and what speaks against `found`; the rest goes to `report`."""
    values, biases, problems = {}, {}, []
    for name, value in found.items():
        if name in wanted:
            shape = tuple(wanted[name].shape)
            if value.ndim == 4 and len(shape) == 2 and value.size == math.prod(shape):
                value = value.reshape(shape)  # timm's VGG has convolutions for its fully connected layers
            if value.shape == shape:
                values[name] = value
            elif names.CLASSIFIER.match(name) and value.shape[1:] == shape[1:]:
                report.skipped[name] = f"the file has {value.shape[0]} classes, the network {shape[0]}"
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
        elif names.CLASSIFIER.match(name) or (name.startswith("aux.") and not has_aux):
            report.missing[name] = "kept as initialised"
        elif name.endswith(".bias") and weight in values and values[weight].ndim == 4 and name not in found:
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
        net.compile_cache.clear()


def locate(net, source) -> tuple[Path, str]:
    """The local file of `source`, downloaded and verified if need be, and its name for messages."""
    if source is True or source in PUBLISHERS:
        published = getattr(net, "sources", {})
        name = next(iter(published), None) if source is True else source
        if name not in published:
            others = f", or take {' or '.join(published)}'s" if published else ""
            raise UserError(f"there are no published weights {'' if source is True else f'of {source} '}for "
                            f"{net.architecture['arch']}: name a file{others}")
        return fetch(published[name]), f"{name}'s {published[name].url.rpartition('/')[2]}"
    return find(source, f", {', '.join(PUBLISHERS)}, true or false")


def find(source, others: str = "") -> tuple[Path, str]:
    """The local file of a path or an http(s) address, and its name for messages, which suggest `others` too."""
    text = str(source)
    if re.match(r"https?://", text):
        return fetch(Source(text), mirror=False), files.without_credentials(text)
    path = Path(os.path.expanduser(text))
    if not path.is_file():
        raise UserError(f"there is no weight file {path}: name a file or an http(s) address{others}")
    return path, str(path)


def fetch(source: Source, mirror: bool = True) -> Path:
    """The cached copy of `source`, downloaded first if it is not there yet."""
    key = hashlib.sha256(source.url.encode()).hexdigest()[:8]
    path = files.cache_dir() / "weights" / f"{key}-{source.url.rpartition('/')[2].partition('?')[0]}"
    if not path.exists():
        files.download(files.mirrored(source.url) if mirror else source.url, path, sha256=source.sha256)
    return path


def save_checkpoint(net, path: Path | str, **metadata) -> Path:
    """Write the weights of `net`, or a dict of parameters by name, with `metadata` (JSON values), whole or not at all.

    The ending chooses the format: .ckpt is an ordinary MindSpore checkpoint, which `mindspore.load_checkpoint`
    reads too, .safetensors needs no MindSpore to be read.
    """
    parameters = net if isinstance(net, dict) else net.parameters_dict()
    prefix = getattr(net, "parameter_prefix", "")
    metadata = {"architecture": getattr(net, "architecture", {}), **metadata}
    return write_checkpoint({name.removeprefix(prefix): parameter for name, parameter in parameters.items()}, path,
                            metadata)


def save_torch(net, path: Path | str, **metadata) -> Path:
    """Write the weights of `net` as a .safetensors file under PyTorch's names, for `load_state_dict`.

    These are torchvision's names, and akamaster's for the CIFAR ResNets with shortcut A.

    Raises:
        UserError: `path` does not end in .safetensors, or cannot be written.
    """
    if Path(path).suffix != ".safetensors":
        raise UserError(f"PyTorch's names go into a .safetensors file: name one instead of {path}")
    naming = names.torch_naming(net.architecture)
    arrays = {}
    for parameter in net.get_parameters():
        name = naming.name(parameter.name)
        arrays[name] = parameter
        if name.endswith("running_var"):
            arrays[name.replace("running_var", "num_batches_tracked")] = np.zeros((), np.int64)
    return write_checkpoint(arrays, path, {"architecture": net.architecture, **metadata})
