"""MindSpore's .ckpt files: a protocol buffer of tensors."""

from __future__ import annotations

from pathlib import Path

import mindspore
from google.protobuf.message import DecodeError

from mindres.compat import mindspore as private
from mindres.weights.formats.arrays import array, damaged
from mindres.weights.metadata import Metadata

DTYPES = {
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


def recognizes(start: bytes) -> bool:
    return True  # a protocol buffer has no signature: only reading it shows whether it is one


def read(path: Path) -> tuple[dict, Metadata]:
    # MindSpore's own reader copies all bytes of the file into an array of the size that the file
    # states, and may write beyond its end.
    try:
        content = private.without_checksum(path.read_bytes())
        # MindSpore writes a large array in several parts, each with the shape of the whole.
        slices: dict[str, list] = {}
        for value in private.checkpoint_message().FromString(content).value:
            slices.setdefault(value.tag, []).append(value.tensor)
        if not slices:
            raise ValueError("it is empty")
        return _unpacked(slices)
    except (DecodeError, ValueError, KeyError, OSError, MemoryError, RecursionError) as error:
        raise damaged(path, "MindSpore checkpoint", error) from None


def _unpacked(slices: dict) -> tuple[dict, Metadata]:
    """The arrays and metadata in the messages of each name."""
    recorded, arrays = "{}", {}
    for name, parts in slices.items():
        data = b"".join(part.tensor_content for part in parts)
        kind, shape = parts[0].tensor_type, list(parts[0].dims)
        if kind == "str":
            recorded = data.decode("utf-32-le") if name == "mindres" else recorded
        else:
            arrays[name] = array(data, DTYPES[kind], [] if shape == [0] else shape)
    return arrays, Metadata.from_json(recorded)


def write(arrays: dict, metadata: Metadata, path: Path) -> None:
    content = [
        {
            "name": name,
            "data": value if isinstance(value, mindspore.Tensor) else mindspore.Tensor(value),
        }
        for name, value in arrays.items()
    ]
    mindspore.save_checkpoint(content, str(path), append_dict={"mindres": metadata.to_json()})
