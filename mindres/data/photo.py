"""Reads an image file: plain JPEGs by OpenCV, at a reduced size if wanted, all others by Pillow."""

from __future__ import annotations

import io
import os

import cv2
import numpy as np
from PIL import Image

from mindres.data import images
from mindres.errors import UserError

# The scales that JPEG decoders support, as divisors of each side, with OpenCV's flags.
SCALES = {
    8: cv2.IMREAD_REDUCED_COLOR_8,
    4: cv2.IMREAD_REDUCED_COLOR_4,
    2: cv2.IMREAD_REDUCED_COLOR_2,
    1: cv2.IMREAD_COLOR,
}


class Photo:
    """An image file whose size is known before its pixels are decoded.

    The pixels are those of `read_image`. OpenCV decodes JPEGs faster, but accepts truncated ones,
    so a file that does not end like a JPEG is left to Pillow.

    Args:
        path: the path of the file.

    Raises:
        UserError: the image cannot be read.
    """

    def __init__(self, path: bytes):
        self.path = path
        self._content = _content(path)
        self._pixels: np.ndarray | None = None
        if self._content.endswith(images.JPEG_END):
            with images.readable(path), Image.open(io.BytesIO(self._content)) as image:
                self.width, self.height = image.size
                if images.is_plain(image):
                    return
        self._read_by_pillow()

    @classmethod
    def of(cls, pixels: np.ndarray) -> Photo:
        """An image that has been read: uint8 RGB (H, W, 3)."""
        photo = cls.__new__(cls)
        photo._pixels = pixels
        photo.height, photo.width = pixels.shape[:2]
        return photo

    def scale(self, height: int, width: int, wanted: tuple[int, int]) -> int:
        """The divisor at which a part of this size still has the `wanted` (height, width)."""
        if self._pixels is not None:
            return 1
        fitting = (s for s in SCALES if height >= s * wanted[0] and width >= s * wanted[1])
        return next(fitting, 1)

    def pixels(self, scale: int = 1) -> np.ndarray:
        """The pixels, uint8 RGB (H, W, 3), reduced by the divisor `scale`; sides are rounded up."""
        if self._pixels is None:
            flags = SCALES[scale] | cv2.IMREAD_IGNORE_ORIENTATION
            found = cv2.imdecode(np.frombuffer(self._content, np.uint8), flags)
            if found is not None:
                return cv2.cvtColor(found, cv2.COLOR_BGR2RGB, found)
            self._read_by_pillow()  # this may succeed, or raises a `UserError`
        assert self._pixels is not None
        return self._pixels[::scale, ::scale]

    def _read_by_pillow(self) -> None:
        self._pixels = images.read_image(io.BytesIO(self._content), self.path)
        self.height, self.width = self._pixels.shape[:2]


def _content(path: bytes) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError as error:
        raise UserError(
            f"{images.shown(os.fsdecode(path))} cannot be read: {error.strerror}"
        ) from None
