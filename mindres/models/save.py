"""Writes the weights of a network."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mindres.errors import UserError
from mindres.weights import naming
from mindres.weights.formats import write_checkpoint


def save_checkpoint(net, path: Path | str, **metadata) -> Path:
    """Write the weights of `net`, or a dict of parameters by name, with `metadata` (JSON values), whole or not at all.

    The ending chooses the format: .ckpt is an ordinary MindSpore checkpoint, which `mindspore.load_checkpoint`
    reads too, .safetensors needs no MindSpore to be read.
    """
    parameters = net if isinstance(net, dict) else net.parameters_dict()
    prefix = getattr(net, "parameter_prefix", "")
    metadata = {"architecture": getattr(net, "architecture", {}), **metadata}
    return write_checkpoint(
        {name.removeprefix(prefix): parameter for name, parameter in parameters.items()},
        path,
        metadata,
    )


def save_torch(net, path: Path | str, **metadata) -> Path:
    """Write the weights of `net` as a .safetensors file under PyTorch's names, for `load_state_dict`.

    These are torchvision's names, and akamaster's for the CIFAR ResNets with shortcut A.

    Raises:
        UserError: `path` does not end in .safetensors, or cannot be written.
    """
    if Path(path).suffix != ".safetensors":
        raise UserError(f"PyTorch's names go into a .safetensors file: name one instead of {path}")
    torch_naming = naming.torch_naming(net.architecture)
    arrays = {}
    for parameter in net.get_parameters():
        name = torch_naming.name(parameter.name)
        arrays[name] = parameter
        if name.endswith("running_var"):
            arrays[name.replace("running_var", "num_batches_tracked")] = np.zeros((), np.int64)
    return write_checkpoint(arrays, path, {"architecture": net.architecture, **metadata})
