"""A cache of the image files that were found whole, one for each folder of images.

A file is identified by a digest of its name, and a digest of its size and time when it was checked.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os

import numpy as np

from mindres import files
from mindres.data.labelled_images import LabelledImages
from mindres.errors import UserError

# How far an image file has been checked.
UNKNOWN = 0
LOOKS_WHOLE = 1
READ_WHOLE = 2
ROW = np.dtype([("name", np.uint64), ("stamp", np.uint64), ("state", np.uint8)])


class CheckedImages:
    """How far each of the images `labelled` has been checked."""

    def __init__(self, labelled: LabelledImages):
        root = os.fsencode(labelled.root.resolve())
        key = hashlib.sha256(root).hexdigest()[:16]
        self._file = files.cache_dir() / "datasets" / f"{key}.checked.npy"
        self._rows = np.zeros(len(labelled), ROW)
        for i in range(len(labelled)):
            self._rows[i] = _digest(labelled.name(i)), _stamp(labelled.path(i)), UNKNOWN
        self._known = self._load()  # in the order of the names
        if len(self._known):
            place = np.searchsorted(self._known["name"], self._rows["name"])
            found = self._known[np.minimum(place, len(self._known) - 1)]
            same = (found["name"] == self._rows["name"]) & (found["stamp"] == self._rows["stamp"])
            self._rows["state"] = np.where(same, found["state"], UNKNOWN)

    def less_than(self, state: int) -> np.ndarray:
        """The numbers of the images that were checked less than `state`, (M,)."""
        return np.flatnonzero(self._rows["state"] < state)

    def note(self, numbers: np.ndarray, state: int) -> None:
        """Save that the images `numbers` have been checked as far as `state`.

        If the cache cannot be written, they are checked again next time.
        """
        self._rows["state"][numbers] = state
        others = self._known[~np.isin(self._known["name"], self._rows["name"])]
        rows = np.concatenate([self._rows, others])
        content = io.BytesIO()
        np.save(content, rows[np.argsort(rows["name"])])
        with contextlib.suppress(UserError), files.atomic_write(self._file) as part:
            part.write_bytes(content.getbuffer())

    def _load(self) -> np.ndarray:
        try:
            rows = np.load(self._file)
        except (OSError, ValueError, EOFError):  # the file is missing or damaged
            return np.zeros(0, ROW)
        return rows if rows.dtype == ROW and rows.ndim == 1 else np.zeros(0, ROW)


def _digest(content: bytes) -> int:
    return int.from_bytes(hashlib.blake2b(content, digest_size=8).digest(), "big")


def _stamp(path: bytes) -> int:
    """A digest of a file's size and time; 0 for a dangling link."""
    try:
        found = os.stat(path)
    except OSError:
        return 0
    return _digest(b"%d %d" % (found.st_size, found.st_mtime_ns))
