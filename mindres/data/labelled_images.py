"""Image files and their labels, stored without a Python object for each file."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np


class LabelledImages(Sequence):
    """Image files and their labels: item `i` is (path, label).

    Args:
        root: the folder that names of files are relative to.
        labelled: the name of each file, relative to `root`, and its label.
    """

    def __init__(self, root: Path, labelled: Iterable[tuple[str | Path, int]]):
        self.root = root
        self._folder = os.fsencode(root)
        self._names = bytearray()  # all names, each followed by a zero byte
        labels = array("q")
        for name, label in labelled:
            self._names += os.fsencode(name) + b"\0"
            labels.append(label)
        self._ends = np.flatnonzero(np.frombuffer(self._names, np.uint8) == 0)
        self._starts = np.concatenate([np.zeros(1, np.int64), self._ends + 1])[:-1]
        self.labels = np.array(labels, np.int64)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i):
        if isinstance(i, slice):
            return [self[j] for j in range(*i.indices(len(self)))]
        if not -len(self) <= i < len(self):
            raise IndexError(i)
        return Path(os.fsdecode(self.path(i))), int(self.labels[i])

    def name(self, i: int) -> bytes:
        """The path of image `i` relative to `root`."""
        return bytes(self._names[self._starts[i] : self._ends[i]])

    def path(self, i: int) -> bytes:
        """The path of image `i`."""
        return os.path.join(self._folder, self.name(i))

    def names(self) -> list[bytes]:
        """`name(i)` of every image."""
        return [self.name(i) for i in range(len(self))]

    def keep(self, mask: np.ndarray) -> None:
        """Leave out the images where `mask` (N,) is False."""
        self._starts, self._ends = self._starts[mask], self._ends[mask]
        self.labels = self.labels[mask]
