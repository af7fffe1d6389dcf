"""Small copies of images, so that each file is decoded once and not in every epoch.

Training cuts its random parts out of the copies from the first epoch on, whether a copy is kept or
made again: what the network sees never depends on which copies are there. The copy of a validation
image is what the network sees, before it is normalised.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

import cv2
import numpy as np

from mindres import files
from mindres.data.copy_stores import InMemory, OnDisk
from mindres.data.labelled_images import LabelledImages
from mindres.data.photo import Photo
from mindres.devices import workers
from mindres.errors import UserError

MARGIN = 1.15  # sides of a copy over those of the images that training wants


def copy_size(height: int, width: int, size: tuple[int, int]) -> tuple[int, int]:
    """(height, width) of the copy of an image for training at `size`; never more than it has."""
    factor = min(1, max(MARGIN * size[0] / height, MARGIN * size[1] / width))
    return max(1, round(height * factor)), max(1, round(width * factor))


def make_copy(photo: Photo, size: tuple[int, int]) -> np.ndarray:
    """The copy of an image for training at `size`: uint8 RGB (H, W, 3)."""
    wanted = copy_size(photo.height, photo.width, size)
    pixels = photo.pixels(photo.scale(photo.height, photo.width, wanted))
    if pixels.shape[:2] == wanted:
        return pixels
    return cv2.resize(pixels, wanted[::-1], interpolation=cv2.INTER_AREA)


class ImageCopies:
    """The copies of the images of a folder or a table.

    Where images are drawn at random, some never come. So whoever reads a copy that is there makes
    one that is missing: after as many reads as there are images, all copies are there.

    Args:
        labelled: the images.
        make: makes the copy of an image: uint8 RGB (H, W, 3).
        store: where copies are kept; None makes each one anew.
        missing: whether a copy of each image is still to be kept, bool (N,).
        most: bytes that may be kept.
        few: as soon as no more than these are missing, they are made as well: an epoch may leave
            out some images.
    """

    def __init__(
        self,
        labelled: LabelledImages,
        make: Callable[[Photo], np.ndarray],
        store: InMemory | OnDisk | None = None,
        missing: np.ndarray | None = None,
        most: float = 0,
        few: int = 0,
    ):
        self._labelled = labelled
        self._make_copy = make
        self._store = store
        self._missing = np.zeros(len(labelled), bool) if missing is None else missing.copy()
        self._next = 0 if store else len(labelled)  # the first that is made beside the others
        self._left = most
        self._few = few
        self._lock = threading.Lock()

    def read(self, number: int) -> np.ndarray:
        """The copy of image `number`: uint8 RGB (H, W, 3)."""
        store = self._store
        copy = store.get(number) if store else None
        if copy is None:
            copy = self._make_and_keep(number)
        elif (other := self._another()) is not None:
            self._make_and_keep(other)
        return copy

    def _make_and_keep(self, number: int) -> np.ndarray:
        copy = self._make(number)
        if self._missing[number]:
            with self._lock:
                self._keep(number, copy)
        return copy

    def _another(self) -> int | None:
        """An image whose copy is missing and is not being made; None if there is none."""
        if self._next == len(self._missing):
            return None
        with self._lock:
            rest = np.flatnonzero(self._missing[self._next :])
            found = self._next + int(rest[0]) if len(rest) else None
            self._next = len(self._missing) if found is None else found + 1
        return found

    def _make(self, number: int) -> np.ndarray:
        return self._make_copy(Photo(self._labelled.path(number)))

    def _keep(self, number: int, copy: np.ndarray) -> None:
        """Keep a copy, and the last ones that are missing; where that fails, keep none."""
        store = self._store
        if store is None:
            return
        try:
            self._put(store, number, copy)
            rest = np.flatnonzero(self._missing)
            if len(rest) <= self._few:
                for other in rest.tolist():
                    self._put(store, other, self._make(other))
                store.publish()
        except (OSError, UserError) as error:
            self._store = None
            self._missing[:] = False
            store.drop()
            workers.warn(
                f"copies of the training images cannot be kept: {files.reason(error)}; training "
                "goes on without"
            )

    def _put(self, store: InMemory | OnDisk, number: int, copy: np.ndarray) -> None:
        if not self._missing[number]:  # another thread was faster
            return
        self._left -= copy.nbytes
        if self._left < 0:
            raise UserError("they are larger than their sample")
        store.put(number, copy)
        self._missing[number] = False
