"""A file of features and labels that is written and read piece by piece.

It holds two arrays in NumPy's format: the features (N, ...), then the labels (N,). It is read and
not mapped, because mapped pages count as memory of the process.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.lib import format as npy
from numpy.typing import NDArray

PIECE = 16 << 20  # bytes of features that are read at once


class KeptFeatures(Sequence):
    """The rows of such a file: item `i` is (feature, label).

    Args:
        path: the file.

    Raises:
        OSError, ValueError: the file cannot be read, or is not whole.
    """

    def __init__(self, path: Path):
        self._file = open(path, "rb", buffering=0)  # noqa: SIM115  it is read as long as this is
        npy.read_magic(self._file)
        shape, fortran_order, self._dtype = npy.read_array_header_1_0(self._file)
        self._start = self._file.tell()
        self._row = shape[1:]
        self._bytes = self._dtype.itemsize * int(np.prod(self._row))
        self._file.seek(self._start + shape[0] * self._bytes)
        self.labels: NDArray = npy.read_array(self._file)
        if fortran_order or self.labels.shape != shape[:1]:
            raise ValueError(f"{path} is not whole")

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i):
        return self._read(int(i), 1)[0], self.labels[i]

    def some(self, numbers: Iterable[int]) -> NDArray:
        """The features of these rows, (M, ...)."""
        return np.stack([self[i][0] for i in numbers])

    def pieces(self) -> Iterator[tuple[slice, NDArray]]:
        """Yield all features in order, some rows at a time, and which rows they are."""
        count = max(1, PIECE // self._bytes)
        for first in range(0, len(self), count):
            rows = slice(first, min(first + count, len(self)))
            yield rows, self._read(first, rows.stop - first)

    def _read(self, first: int, count: int) -> NDArray:
        self._file.seek(self._start + first * self._bytes)
        content = self._file.read(count * self._bytes)
        return np.frombuffer(content, self._dtype).reshape(count, *self._row)


def write_features(path: Path, batches: Iterable[tuple[NDArray, NDArray]]) -> None:
    """Write the features (n, ...) and labels (n,) of each batch; there is at least one."""
    labels: list[NDArray] = []
    with open(path, "wb") as file:
        for features, of_batch in batches:
            if not labels:
                _write_header(file, 0, features)
            file.write(np.ascontiguousarray(features).data)
            labels.append(of_batch)
        of_all = np.concatenate(labels)
        _write_header(file, len(of_all), of_all)
        file.write(of_all.data)
        # NumPy leaves room in the header for any number of rows.
        file.seek(0)
        _write_header(file, len(of_all), features)


def _write_header(file, count: int, rows: NDArray) -> None:
    facts = npy.header_data_from_array_1_0(np.ascontiguousarray(rows))
    npy.write_array_header_1_0(file, {**facts, "shape": (count, *rows.shape[1:])})
