"""Where weights come from: publishers, addresses and files; how they are verified, named and loaded."""

from __future__ import annotations

import hashlib
import json
import re
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import mindspore
import numpy as np

from mindres import files
from mindres.errors import UserError


@dataclass(frozen=True)
class Source:
    """Weights that somebody publishes: their address, and the SHA-256's first digits where known."""

    url: str
    sha256: str | None = None


@dataclass
class Report:
    """What `load_weights` did: names loaded; names skipped and missing, each with the reason."""

    source: str
    loaded: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def __str__(self):
        lines = [f"{len(self.loaded)} parameters loaded from {self.source}"]
        for title, names in (("not in the network", self.skipped), ("kept as initialised", self.missing)):
            for reason in dict.fromkeys(names.values()):
                same = [name for name in names if names[name] == reason]
                shown = ", ".join(same[:2]) + (f" and {len(same) - 2} more" if len(same) > 2 else "")
                lines.append(f"  {title}: {shown} ({reason})")
        return "\n".join(lines)


# MindCV's ResNets: a convolution and its normalisation stand beside each other, not in a block.
MINDCV_RESNET = [
    (r"^conv1\.", "backbone.conv1.features.0."),
    (r"^bn1\.", "backbone.conv1.features.1."),
    (r"^(layer\d\.\d+)\.conv(\d)\.", r"backbone.\1.conv\2.features.0."),
    (r"^(layer\d\.\d+)\.bn(\d)\.", r"backbone.\1.conv\2.features.1."),
    (r"^(layer\d\.\d+)\.down_sample\.", r"backbone.\1.down_sample.features."),
    (r"^classifier\.", "head.dense."),
]
CLASSIFIER = "head.dense."
OPTIMIZER_STATE = re.compile(r"^(moments|moment1|moment2|accum|momentum|learning_rate|global_step|beta[12]_power)\b")


def load_weights(net, source) -> Report:
    """Put the weights of `source` into `net`, all of them or none.

    Args:
        net: a network of this package.
        source: True or the name of a publisher ("mindvision", "mindcv") for the weights published for this
            architecture; a path; or an http(s) address. The file is a MindSpore checkpoint with the parameter
            names of mindres, MindVision or MindCV.

    A classifier with another number of classes is left out, and the report says so.

    Raises:
        UserError: the file cannot be had, is damaged, or belongs to another network; `net` is unchanged.
    """
    path, shown = locate(net, source)
    found, metadata = read_checkpoint(path)
    arch = net.architecture["arch"]
    trained = metadata.get("architecture", {}).get("arch", arch)
    if trained != arch:
        raise UserError(f"{shown} holds a {trained}, not a {arch}: use --arch {trained}, or other weights")
    found = {target_name(name, found): value for name, value in found.items()}
    wanted = net.parameters_dict()
    report = Report(shown)
    problems = []
    for name, value in found.items():
        if name in wanted:
            if value.shape == wanted[name].shape:
                report.loaded.append(name)
            elif name.startswith(CLASSIFIER):
                report.skipped[name] = f"the file has {value.shape[0]} classes, the network {wanted[name].shape[0]}"
            else:
                problems.append(f"{name} is {tuple(value.shape)} in the file and {wanted[name].shape} in the network")
        elif OPTIMIZER_STATE.match(name):
            report.skipped[name] = "optimizer state"
        else:
            problems.append(f"the network has no {name}")
    for name in wanted:
        if name not in found and not name.startswith(CLASSIFIER):
            problems.append(f"the file has no {name}")
        elif name not in report.loaded:
            report.missing[name] = report.skipped.pop(name, "not in the file")
    if problems:
        more = f", and {len(problems) - 1} more like this" if len(problems) > 1 else ""
        raise UserError(f"{shown} does not fit {arch}: {problems[0]}{more}; name the weights of a {arch}")
    for name in report.loaded:
        parameter = wanted[name]
        parameter.set_data(mindspore.Tensor(found[name], parameter.dtype))
    return report


def locate(net, source) -> tuple[Path, str]:
    """The local file of `source`, downloaded and verified if need be, and its name for messages."""
    if source is True or source in PUBLISHERS:
        published = getattr(net, "sources", {})
        name = next(iter(published), None) if source is True else source
        if name not in published:
            raise UserError(f"there are no published weights {'' if source is True else f'of {source} '}for "
                            f"{net.architecture['arch']}: name a file")
        return fetch(published[name]), f"{name}'s {published[name].url.rpartition('/')[2]}"
    text = str(source)
    if re.match(r"https?://", text):
        digest = re.search(r"-([0-9a-f]{8,64})\.\w+$", text)
        return fetch(Source(text, digest and digest[1]), mirror=False), files.without_credentials(text)
    path = Path(text).expanduser()
    if not path.is_file():
        raise UserError(f"there is no weight file {path}: name a file, an http(s) address, "
                        f"{', '.join(PUBLISHERS)}, true or false")
    return path, str(path)


PUBLISHERS = ("mindvision", "mindcv")


def fetch(source: Source, mirror: bool = True) -> Path:
    """The cached copy of `source`, downloaded first if it is not there yet."""
    key = hashlib.sha256(source.url.encode()).hexdigest()[:8]
    path = files.cache_dir() / "weights" / f"{key}-{source.url.rpartition('/')[2].partition('?')[0]}"
    if not path.exists():
        files.download(files.mirrored(source.url) if mirror else source.url, path, sha256=source.sha256)
    return path


def target_name(name: str, names) -> str:
    """The name that a parameter of a source with these `names` has in this package."""
    if "bn1.gamma" in names:
        for pattern, replacement in MINDCV_RESNET:
            renamed, count = re.subn(pattern, replacement, name)
            if count:
                return renamed
    return name


def read_checkpoint(path: Path | str) -> tuple[dict[str, np.ndarray], dict]:
    """The arrays of a MindSpore checkpoint by name, and what `save_checkpoint` noted with them.

    Raises:
        UserError: there is no such file, or it is no checkpoint, or a damaged one.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}")
    try:
        # MindSpore's reader refuses other endings, and a downloaded or renamed file may have one.
        with tempfile.TemporaryDirectory() as folder:
            link = Path(folder) / "file.ckpt"
            link.symlink_to(path.resolve())
            content = mindspore.load_checkpoint(str(link))
        metadata = json.loads(content.pop("mindres", "{}"))
        arrays = {name: value.asnumpy() for name, value in content.items() if hasattr(value, "asnumpy")}
    except Exception as error:  # its reader raises whatever the damaged field happens to cause
        raise UserError(f"{path} is no MindSpore checkpoint, or a damaged one ({type(error).__name__}): "
                        "delete it and fetch or write it again") from None
    return arrays, metadata


def save_checkpoint(net, path: Path | str, **metadata) -> Path:
    """Write the weights of `net` with `metadata` (JSON values) to `path`, whole or not at all.

    The file is an ordinary MindSpore checkpoint: `mindspore.load_checkpoint` reads it too.
    """
    path = Path(path)
    metadata = {"architecture": getattr(net, "architecture", {}), **metadata}
    with files.replacing(path) as part:
        mindspore.save_checkpoint(net, str(part), append_dict={"mindres": json.dumps(metadata)})
    return path
