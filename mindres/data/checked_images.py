"""A cache of the image files that were found whole, one for each folder or table of images.

A file is identified by its name, and by its size and time when it was checked.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindres.data.kept_arrays import KeptArrays
from mindres.data.labelled_images import LabelledImages

VERSION = 1
# How far an image file has been checked.
UNKNOWN = 0
LOOKS_WHOLE = 1
READ_WHOLE = 2


class CheckedImages:
    """How far each of the images `labelled` has been checked."""

    def __init__(self, labelled: LabelledImages):
        self._kept = KeptArrays(labelled.root / labelled.kind, "checked", VERSION)
        self._names = np.frombuffer(labelled.blob(), np.uint8)
        self._stamps = labelled.stamps()
        self._states = np.zeros(len(labelled), np.uint8)
        self._known()

    def _known(self) -> None:
        """Set what is known of files that have the same size and time as then."""
        saved = self._kept.load("names", "stamps", "states")
        if saved is None or not len(saved[2]):
            return
        names, stamps, states = saved
        if np.array_equal(names, self._names):
            same = (stamps == self._stamps).all(axis=1)
        else:
            place = _places(_lines(names), _lines(self._names))
            stamps, states = stamps[place], states[place]
            same = (place >= 0) & (stamps == self._stamps).all(axis=1)
        self._states = np.where(same, states, UNKNOWN).astype(np.uint8)

    def less_than(self, state: int) -> np.ndarray:
        """The numbers of the images that were checked less than `state`, (M,)."""
        return np.flatnonzero(self._states < state)

    def note(self, numbers: np.ndarray, state: int) -> None:
        """Save that the images `numbers` have been checked as far as `state`.

        If the cache cannot be written, they are checked again next time.
        """
        self._states[numbers] = state
        self._kept.save(names=self._names, stamps=self._stamps, states=self._states)


def _lines(names: NDArray) -> NDArray:
    """Names of which each is followed by a zero byte, as an array of byte strings."""
    return np.array(names.tobytes().split(b"\0")[:-1])


def _places(known: NDArray, wanted: NDArray) -> NDArray:
    """Where each of the `wanted` is among the `known`; -1 if it is not there."""
    order = np.argsort(known)
    place = np.searchsorted(known, wanted, sorter=order)
    place = order[np.minimum(place, len(known) - 1)]
    return np.where(known[place] == wanted, place, -1)
