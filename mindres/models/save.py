"""Writes the weights of a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mindres.errors import UserError
from mindres.models import registry
from mindres.weights.formats import write_checkpoint
from mindres.weights.metadata import Metadata


def save_checkpoint(net, path: Path | str, **metadata) -> Path:
    """Write the weights of a network to a file, completely or not at all.

    Args:
        net: the network, or a dict of parameters by name.
        path: the file. Its extension chooses the format: .ckpt is an ordinary MindSpore checkpoint,
            which `mindspore.load_checkpoint` reads, too; .safetensors can be read without
            MindSpore.
        metadata: fields of `mindres.weights.metadata.Metadata`, and any other JSON values. The
            architecture of a network is always saved.

    Returns:
        The path of the file.

    Raises:
        UserError: a value cannot be saved, the extension is another, or the file cannot be written.
    """
    parameters = net if isinstance(net, dict) else net.parameters_dict()
    prefix = getattr(net, "parameter_prefix", "")
    arrays = {name.removeprefix(prefix): parameter for name, parameter in parameters.items()}
    return write_checkpoint(arrays, path, _recorded(net, metadata))


def save_torch(net, path: Path | str, **metadata) -> Path:
    """Write the weights of `net` under PyTorch names, for `load_state_dict`.

    The names are torchvision's; for the CIFAR ResNets they are akamaster's with shortcut A and
    chenyaofo's with shortcut B.

    Raises:
        UserError: `path` does not end in .safetensors, or cannot be written.
    """
    if Path(path).suffix != ".safetensors":
        raise UserError(f"PyTorch names need a .safetensors file: name one instead of {path}")
    family = registry.family(net.architecture["arch"])
    torch_naming = family.pytorch_naming(net.architecture)
    arrays = {}
    for parameter in net.get_parameters():
        name = torch_naming.name(parameter.name)
        arrays[name] = parameter
        if name.endswith("running_var"):
            arrays[name.replace("running_var", "num_batches_tracked")] = np.zeros((), np.int64)
    return write_checkpoint(arrays, path, _recorded(net, metadata))


def _recorded(net, metadata: dict) -> Metadata:
    architecture = getattr(net, "architecture", None) or metadata.get("architecture", {})
    try:
        return Metadata.of({**metadata, "architecture": architecture})
    except ValueError as error:
        raise UserError(f"the checkpoint cannot hold this: {error}") from None
