"""Image files and their labels, stored without a Python object for each file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

AT_ONCE = 10_000  # files whose sizes and times are Python objects at one time


class LabelledImages(Sequence):
    """Image files and their labels: item `i` is (path, label).

    Args:
        root: the folder that names of files are relative to.
        names: the name of each file, relative to `root`, and a zero byte.
        labels: the label of each file, (N,).
        kind: tells these images from others that have the same root.
    """

    def __init__(self, root: Path, names: bytes, labels: NDArray, kind: str = ""):
        self.root = root
        self.kind = kind
        self.labels = np.asarray(labels, np.int64)
        self._folder = os.fsencode(root)
        self._names = names
        self._ends = np.flatnonzero(np.frombuffer(names, np.uint8) == 0)
        self._starts = np.concatenate([np.zeros(1, np.int64), self._ends + 1])[:-1]

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
        return self._names[self._starts[i] : self._ends[i]]

    def path(self, i: int) -> bytes:
        """The path of image `i`."""
        return os.path.join(self._folder, self.name(i))

    def names(self) -> list[bytes]:
        """`name(i)` of every image."""
        return list(self._each_name())

    def blob(self) -> bytes:
        """The name of each image and a zero byte."""
        if len(self._names) == int((self._ends - self._starts + 1).sum()):
            return self._names
        return b"".join(name + b"\0" for name in self._each_name())

    def stamps(self) -> NDArray:
        """The size and the time of each file as they are now, int64 (N, 2); -1 if it is gone."""
        found = np.empty((len(self), 2), np.int64)
        folder = os.path.join(self._folder, b"")
        paths = (folder + name for name in self._each_name())
        for start in range(0, len(self), AT_ONCE):
            found[start : start + AT_ONCE] = [_stamp(path) for path in islice(paths, AT_ONCE)]
        return found

    def digest(self) -> str:
        """A digest of the paths, sizes and times of the files."""
        digest = hashlib.sha256(os.fsencode(self.root.resolve()) + b"\0" + self.blob())
        digest.update(self.stamps().tobytes())
        return digest.hexdigest()

    def keep(self, mask: np.ndarray) -> None:
        """Leave out the images where `mask` (N,) is False."""
        self._starts, self._ends = self._starts[mask], self._ends[mask]
        self.labels = self.labels[mask]

    def _each_name(self) -> Iterator[bytes]:
        names = self._names
        for start in range(0, len(self), AT_ONCE):
            piece = slice(start, start + AT_ONCE)
            for first, end in zip(self._starts[piece].tolist(), self._ends[piece].tolist()):
                yield names[first:end]


def _stamp(path: bytes) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except OSError:  # a dangling link
        return -1, -1
    return found.st_size, found.st_mtime_ns
