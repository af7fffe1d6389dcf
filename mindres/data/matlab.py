"""Reads arrays of numbers from MATLAB 5 files, in bounded memory.

SciPy's reader allocates whatever size a damaged file states, and builds any MATLAB object. This one
reads only numeric arrays. Format: MathWorks, MAT-File Format, chapter 1.
"""

from __future__ import annotations

import math
import struct
import zlib
from pathlib import Path

import numpy as np

from mindres.errors import UserError

MATRIX = 14
COMPRESSED = 15
MOST_ELEMENTS = 100  # of a file, at the top level
# Types of stored numbers by code: miINT8 to miUINT64.
STORED = {
    1: "i1",
    2: "u1",
    3: "i2",
    4: "u2",
    5: "i4",
    6: "u4",
    7: "f4",
    9: "f8",
    12: "i8",
    13: "u8",
}
# Types of arrays by class: mxDOUBLE to mxUINT64.
ARRAYS = dict(zip(range(6, 16), ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")))


class _Damaged(ValueError):
    """What is wrong with a file."""


def read_arrays(path: Path, names: tuple[str, ...], most: int) -> dict[str, np.ndarray]:
    """The arrays called `names` in a MATLAB 5 file, each of at most `most` bytes.

    Raises:
        UserError: the file is damaged, is another kind of file, or lacks one of the arrays.
    """
    found: dict[str, np.ndarray] = {}
    try:
        with open(path, "rb") as file:
            order = _byte_order(file.read(128))
            for _ in range(MOST_ELEMENTS):
                content = _next_matrix(file, order, most)
                if content is None or found.keys() >= set(names):
                    break
                array_name, array = _matrix(content, order, most)
                if array_name in names and array is not None:
                    found[array_name] = array
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except (_Damaged, struct.error, zlib.error, ValueError) as error:
        raise UserError(
            f"{path} is damaged or not a MATLAB 5 file: {error}; download it again"
        ) from None
    for name in names:
        if name not in found:
            raise UserError(f"{path} has no array {name}: it is not the published file")
    return found


def _byte_order(header: bytes) -> str:
    """ "<" or ">", from the two letters at the end of the header."""
    if header[126:128] == b"IM":
        return "<"
    if header[126:128] == b"MI":
        return ">"
    raise _Damaged("its header does not state the byte order")


def _next_matrix(file, order: str, most: int) -> memoryview | None:
    """The bytes of the next array, unpacked; None at the end of the file."""
    tag = file.read(8)
    if not tag:
        return None
    kind, size = struct.unpack(order + "II", tag)
    most += 1 << 16  # for the description of the array
    if size > most:
        raise _Damaged(f"it states an array of {size:,} bytes, more than the limit of {most:,}")
    content = file.read(size)
    if len(content) < size:
        raise _Damaged("it is truncated")
    if kind == COMPRESSED:
        unpacker = zlib.decompressobj()
        content = unpacker.decompress(content, most)
        if unpacker.unconsumed_tail:
            raise _Damaged(f"an array unpacks to more than {most:,} bytes")
        kind, size = struct.unpack_from(order + "II", content)
        content = content[8 : 8 + size]
    if kind != MATRIX:
        raise _Damaged(f"it has an element of type {kind} in place of an array")
    return memoryview(content)


def _matrix(content: memoryview, order: str, most: int) -> tuple[str, np.ndarray | None]:
    """The name and the values of an array; None unless it is a full array of real numbers."""
    _, flags, content = _element(content, order)
    _, shape, content = _element(content, order)
    _, name, content = _element(content, order)
    (flag_word,) = struct.unpack_from(order + "I", flags)
    array_class = flag_word & 0xFF
    is_complex = bool(flag_word & 0x800)
    label = bytes(name).decode("latin1")
    if array_class not in ARRAYS or is_complex:
        return label, None
    dimensions = struct.unpack(f"{order}{len(shape) // 4}i", shape)
    stored, values, _ = _element(content, order)
    if stored not in STORED or len(dimensions) > 32 or min(dimensions, default=0) < 0:
        raise _Damaged(f"its array {label!r} has an unknown layout")
    numbers = np.frombuffer(values, np.dtype(order + STORED[stored]))
    if len(numbers) != math.prod(dimensions):
        raise _Damaged(f"its array {label!r} has another number of values than it says")
    if len(numbers) * np.dtype(ARRAYS[array_class]).itemsize > most:
        raise _Damaged(f"its array {label!r} takes more than {most:,} bytes")
    array = numbers.reshape(dimensions, order="F")
    return label, array.astype(ARRAYS[array_class], order="K", copy=False)


def _element(content: memoryview, order: str) -> tuple[int, memoryview, memoryview]:
    """The type and the bytes of the first element, and what follows it."""
    kind, size = struct.unpack_from(order + "II", content)
    if kind >> 16:  # a small element, whose size and at most four bytes are in the tag
        return kind & 0xFFFF, content[4 : 4 + (kind >> 16)], content[8:]
    if size > len(content) - 8:
        raise _Damaged("an element is longer than its array")
    return kind, content[8 : 8 + size], content[8 + size + -size % 8 :]
