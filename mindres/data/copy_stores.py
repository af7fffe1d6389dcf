"""Where copies of images are kept: in memory, or in a file."""

from __future__ import annotations

import contextlib
import os
import weakref
from pathlib import Path

import numpy as np

from mindres import files

ROW = np.dtype([("offset", np.int64), ("height", np.int32), ("width", np.int32)])


class InMemory:
    """Copies in the memory of this process."""

    def __init__(self, count: int):
        self._copies: list[np.ndarray | None] = [None] * count

    def get(self, number: int) -> np.ndarray | None:
        return self._copies[number]

    def put(self, number: int, copy: np.ndarray) -> None:
        self._copies[number] = copy

    def publish(self) -> None:
        """Copies in memory are not for other processes."""

    def drop(self) -> None:
        self._copies = []


class OnDisk:
    """Copies in one file: a row of `ROW` for each image, then the pixels in the order of `put`.

    The file has a temporary name until all copies are in it. A process that ends earlier removes
    it; the next process that writes copies removes the file of one that was killed.
    """

    def __init__(self, path: Path, count: int):
        part = contextlib.ExitStack()
        name = part.enter_context(files.atomic_write(path))
        self._open(os.open(name, os.O_RDWR))
        self._rows = np.zeros(count, ROW)
        self._end = self._rows.nbytes
        self._part = part
        self._drop = weakref.finalize(self, _abandon, part)

    @classmethod
    def whole(cls, path: Path, count: int) -> OnDisk | None:
        """The copies that an earlier training left; None where there are none."""
        try:
            found = os.open(path, os.O_RDONLY)
        except OSError:
            return None
        other = cls.__new__(cls)
        other._open(found)
        with open(found, "rb", closefd=False) as file:
            other._rows = np.fromfile(file, ROW, count)
        return other if len(other._rows) == count else None

    def _open(self, descriptor: int) -> None:
        self._file = descriptor
        weakref.finalize(self, os.close, descriptor)

    def get(self, number: int) -> np.ndarray | None:
        offset, height, width = self._rows[number].tolist()
        if not offset:
            return None
        try:
            content = os.pread(self._file, 3 * height * width, offset)
            return np.frombuffer(content, np.uint8).reshape(height, width, 3)
        except (OSError, ValueError):  # the disk is damaged, or the file was cut: made again
            return None

    def put(self, number: int, copy: np.ndarray) -> None:
        _write(self._file, copy.tobytes(), self._end)
        self._rows[number] = self._end, *copy.shape[:2]
        self._end += copy.nbytes

    def publish(self) -> None:
        _write(self._file, self._rows.tobytes(), 0)
        self._drop.detach()
        self._part.close()

    def drop(self) -> None:
        self._drop()


class _Unfinished(Exception):
    """Makes `files.atomic_write` remove what was written."""


def _abandon(part: contextlib.ExitStack) -> None:
    with contextlib.suppress(_Unfinished), part:
        raise _Unfinished


def _write(file: int, content: bytes, offset: int) -> None:
    left = memoryview(content)
    while left:
        written = os.pwrite(file, left, offset)
        left, offset = left[written:], offset + written
