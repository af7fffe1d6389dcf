"""Weight files: MindSpore's .ckpt, .safetensors, and PyTorch's .pth, .pt and .th, told apart by their contents."""

from __future__ import annotations

import errno
import json
import os
import re
import shutil
import warnings
from pathlib import Path

import mindspore
import numpy as np
import safetensors
import safetensors.numpy
from google.protobuf.message import DecodeError
from mindspore.train.checkpoint_pb2 import Checkpoint

from mindres import files
from mindres.errors import UserError
from mindres.weights.metadata import Metadata

WRAPPERS = ("state_dict", "model_state_dict", "model", "net", "state_dict_ema", "model_ema")
DTYPES = {
    "F64": "<f8",
    "F32": "<f4",
    "F16": "<f2",
    "I64": "<i8",
    "I32": "<i4",
    "I16": "<i2",
    "I8": "i1",
    "U64": "<u8",
    "U32": "<u4",
    "U16": "<u2",
    "U8": "u1",
    "BOOL": "?",
}
MINDSPORE_DTYPES = {
    "Float64": "F64",
    "Float32": "F32",
    "Float16": "F16",
    "BFloat16": "BF16",
    "Int64": "I64",
    "Int32": "I32",
    "Int16": "I16",
    "Int8": "I8",
    "UInt64": "U64",
    "UInt32": "U32",
    "UInt16": "U16",
    "UInt8": "U8",
    "Bool": "BOOL",
}


def read_checkpoint(path: Path | str) -> tuple[dict[str, np.ndarray], Metadata]:
    """The arrays of a weight file by name, and what `save_checkpoint` noted with them.

    A PyTorch file is read with `weights_only`, which runs no code of it, and without its wrapping
    (`state_dict`, `model_state_dict`, `model`); that takes PyTorch, the other kinds do not.

    Raises:
        UserError: there is no such file, or it is no weight file, or a damaged one, or holds more than weights.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}")
    try:
        with open(path, "rb") as file:
            start = file.read(9)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    # First, because the length with which .safetensors begins may look like the start of a pickle.
    if start[8:9] == b"{":
        return _read_safetensors(path)
    if start.startswith(b"PK\x03\x04") or (
        start[:1] == b"\x80" and start[1:2] in b"\x02\x03\x04\x05"
    ):
        return _read_torch(path), Metadata()
    return _read_mindspore(path)


def write_checkpoint(arrays: dict, path: Path | str, metadata: Metadata) -> Path:
    """Write `arrays`, of NumPy or MindSpore, with `metadata` to `path`, whole or not at all.

    Its ending chooses the format: an ordinary MindSpore checkpoint or .safetensors file, which others read too.

    Raises:
        UserError: the ending is neither .ckpt nor .safetensors, or the file cannot be written.
    """
    path = Path(path)
    if path.suffix not in (".ckpt", ".safetensors"):
        raise UserError(
            f"cannot tell the format of {path}: name a file that ends in .ckpt or .safetensors"
        )
    noted = metadata.to_json()
    needed = sum(value.nbytes for value in arrays.values())
    with files.replacing(path) as part:
        # Asked first, because MindSpore answers a full disk with lines of its own.
        if shutil.disk_usage(path.parent).free < 1.1 * needed:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        if hasattr(os, "posix_fallocate"):  # which knows quotas and limits on a file's size too
            with open(part, "rb+") as file:
                os.posix_fallocate(file.fileno(), 0, max(needed, 1))
        if path.suffix == ".safetensors":
            plain = {
                name: value.asnumpy() if isinstance(value, mindspore.Tensor) else value
                for name, value in arrays.items()
            }
            safetensors.numpy.save_file(plain, part, metadata={"format": "pt", "mindres": noted})
        else:
            content = [
                {
                    "name": name,
                    "data": value
                    if isinstance(value, mindspore.Tensor)
                    else mindspore.Tensor(value),
                }
                for name, value in arrays.items()
            ]
            mindspore.save_checkpoint(content, str(part), append_dict={"mindres": noted})
    return path


def _read_mindspore(path):
    # Not by MindSpore's own reader: it copies as many bytes as the file has into an array of the size that the file
    # promises, and writes beyond its end.
    try:
        content = path.read_bytes()
        if content[-17:-10] == b"crc_num":
            content = content[:-17]
        slices = {}  # MindSpore writes a large array in several, each with the shape of the whole
        for value in Checkpoint.FromString(content).value:
            slices.setdefault(value.tag, []).append(value.tensor)
        noted, arrays = "{}", {}
        for name, parts in slices.items():
            data, kind = b"".join(part.tensor_content for part in parts), parts[0].tensor_type
            if kind == "str":
                noted = data.decode("utf-32-le") if name == "mindres" else noted
            else:
                shape = list(parts[0].dims)
                arrays[name] = _array(data, MINDSPORE_DTYPES[kind], [] if shape == [0] else shape)
        if not slices:
            raise ValueError("it is empty")
        return arrays, Metadata.from_json(noted)
    except (DecodeError, ValueError, KeyError, OSError, MemoryError, RecursionError) as error:
        raise _damaged(path, "MindSpore checkpoint", error) from None


def _read_safetensors(path):
    try:
        content = path.read_bytes()
        tensors = safetensors.deserialize(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        arrays = {
            name: _array(tensor["data"], tensor["dtype"], tensor["shape"])
            for name, tensor in tensors
        }
        return arrays, Metadata.from_json(header.get("__metadata__", {}).get("mindres", "{}"))
    except (
        safetensors.SafetensorError,
        ValueError,
        KeyError,
        OSError,
        MemoryError,
        RecursionError,
    ) as error:
        raise _damaged(path, ".safetensors file", error) from None


def _array(data, kind, shape):
    if min(shape, default=0) < 0:
        raise ValueError("a negative size")
    if kind == "BF16":  # the upper half of a float32
        values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(data, DTYPES[kind])
    return values.reshape(shape)


def _read_torch(path):
    try:
        import torch
    except ImportError:
        raise UserError(
            f"{path} is a PyTorch file: pip install torch to read it, or write it as .safetensors "
            "where PyTorch is"
        ) from None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # what it thinks of a file that it goes on to refuse
            content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # zip, pickle and storage errors, each with its own class
        if found := re.search(r"GLOBAL ([\w.]+)", str(error)):
            raise UserError(
                f"{path} holds more than weights ({found[1]}), and reading it would run its code: refused; "
                "save model.state_dict() alone where the file comes from"
            ) from None
        raise _damaged(path, "PyTorch checkpoint", error) from None
    while isinstance(content, dict):
        arrays = {
            str(name): _from_torch(value)
            for name, value in content.items()
            if isinstance(value, torch.Tensor)
        }
        if arrays:
            return arrays
        content = next(
            (content[name] for name in WRAPPERS if isinstance(content.get(name), dict)), None
        )
    raise UserError(
        f"{path} holds no weights by name: save model.state_dict() where the file comes from"
    )


def _from_torch(tensor):
    tensor = tensor.detach()
    return (tensor.float() if tensor.is_floating_point() else tensor).numpy()


def _damaged(path, kind, error):
    return UserError(
        f"{path} is no {kind}, or a damaged one ({type(error).__name__}): "
        "delete it and fetch or write it again"
    )
