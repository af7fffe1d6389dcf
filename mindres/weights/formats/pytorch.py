"""PyTorch's .pth, .pt and .th files, which are read by PyTorch and never written."""

from __future__ import annotations

import re
import warnings
from pathlib import Path

from mindres.errors import UserError
from mindres.weights.formats.arrays import damaged
from mindres.weights.metadata import Metadata

# The keys under which training scripts save the weights beside other things.
WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "state_dict_ema", "model_ema")


def recognizes(start: bytes) -> bool:
    pickled = start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05"
    return start.startswith(b"PK\x03\x04") or pickled


def read(path: Path) -> tuple[dict, Metadata]:
    return _unwrapped(_load(path), path), Metadata()


def _load(path):
    try:
        import torch
    except ImportError:
        raise UserError(
            f"{path} is a PyTorch file: pip install torch to read it, or write it as .safetensors "
            "where PyTorch is"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about files that it then refuses
            return torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and storage errors, each with its own class
        if found := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise UserError(
                f"{path} holds more than weights ({found[1]}), and reading it would run its code: "
                "refused; save only model.state_dict() where the file comes from"
            ) from None
        raise damaged(path, "PyTorch checkpoint", error) from None


def _unwrapped(content, path) -> dict:
    """The arrays by name in `content`, or under one of its `WRAPPERS`."""
    while isinstance(content, dict):
        arrays = {
            str(name): _array(value) for name, value in content.items() if hasattr(value, "detach")
        }
        if arrays:
            return arrays
        wrapped = (content[name] for name in WRAPPERS if isinstance(content.get(name), dict))
        content = next(wrapped, None)
    raise UserError(
        f"{path} holds no weights by name: save model.state_dict() where the file comes from"
    )


def _array(tensor):
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()
