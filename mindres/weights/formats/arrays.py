"""Arrays from the bytes of a file whose header cannot be trusted."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mindres.errors import UserError

# Element types under the names of .safetensors files.
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


def array(data: bytes, dtype: str, shape: list[int]) -> np.ndarray:
    """The array of `shape` in `data`; bfloat16 becomes float32.

    Raises:
        ValueError, KeyError: `data` does not fill the shape, or the type is unknown.
    """
    if min(shape, default=0) < 0:
        raise ValueError("a negative size")
    if dtype == "BF16":  # the upper half of a float32
        values = (np.frombuffer(data, "<u2").astype(np.uint32) << 16).view(np.float32)
    else:
        values = np.frombuffer(data, DTYPES[dtype])
    return values.reshape(shape)


def damaged(path: Path, format: str, error: Exception) -> UserError:
    """The error for a file that cannot be read as `format`."""
    return UserError(
        f"{path} is not a {format}, or is damaged ({type(error).__name__}): "
        "delete it and download or write it again"
    )
