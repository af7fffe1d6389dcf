"""Hugging Face's .safetensors files, which are read and written without MindSpore or PyTorch."""

from __future__ import annotations

import json
from pathlib import Path

import safetensors
import safetensors.numpy

from mindres.weights.formats.arrays import array, damaged
from mindres.weights.metadata import Metadata


def recognizes(start: bytes) -> bool:
    # Checked before PyTorch's format: the length at the start may look like the start of a pickle.
    return start[8:9] == b"{"


def read(path: Path) -> tuple[dict, Metadata]:
    try:
        content = path.read_bytes()
        tensors = safetensors.deserialize(content)
        header = json.loads(content[8 : 8 + int.from_bytes(content[:8], "little")])
        arrays = {
            name: array(tensor["data"], tensor["dtype"], tensor["shape"])
            for name, tensor in tensors
        }
        recorded = header.get("__metadata__", {}).get("mindres", "{}")
        return arrays, Metadata.from_json(recorded)
    except (
        safetensors.SafetensorError,
        ValueError,
        KeyError,
        OSError,
        MemoryError,
        RecursionError,
    ) as error:
        raise damaged(path, ".safetensors file", error) from None


def write(arrays: dict, metadata: Metadata, path: Path) -> None:
    plain = {
        name: value.asnumpy() if hasattr(value, "asnumpy") else value
        for name, value in arrays.items()
    }
    recorded = {"format": "pt", "mindres": metadata.to_json()}
    safetensors.numpy.save_file(plain, path, metadata=recorded)
