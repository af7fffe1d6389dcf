"""Reads any image file as RGB, in the same way for training and prediction."""

from __future__ import annotations

import contextlib
import io
import os
import warnings
from collections.abc import Iterator

import numpy as np
from PIL import ExifTags, Image

from mindres.errors import UserError

# Pixels: less than a gigabyte in any mode; a phone's photograph has up to 50 million.
LARGEST_IMAGE = 55_000_000
LARGEST_DRAFT = (4096, 4096)  # where a larger JPEG may be read at a half, a quarter or an eighth
JPEG_END = b"\xff\xd9"  # the last bytes of a whole JPEG
# The formats and modes in which OpenCV reads the same pixels as Pillow. Pillow's MPO is a phone's
# JPEG with a second image.
PLAIN_FORMATS = ("JPEG", "MPO")
PLAIN_MODES = ("RGB", "L")
# The operation that turns an image upright, by its EXIF orientation; 1 is upright.
TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
TRANSPARENT_MODES = ("RGBA", "LA", "PA", "RGBa", "La")


def read_image(source, name=None) -> np.ndarray:
    """Read an image as uint8 RGB (H, W, 3), turned by its EXIF orientation.

    All of Pillow's modes are supported: grey, palette and CMYK become RGB, 16-bit values become
    8-bit, transparency becomes white, and an animation is its first frame.

    Args:
        source: a path, or a binary file.
        name: the image's name in messages; None for that of the source.

    Raises:
        UserError: the image cannot be read.
    """
    with readable(source if name is None else name), Image.open(source) as image:
        _shrink(image)
        image.load()  # this turns a TIFF upright
        turn = _turn(image)
        return _rgb(image if turn is None else image.transpose(turn))


@contextlib.contextmanager
def readable(source) -> Iterator[None]:
    """Turn Pillow's errors in this block into a `UserError` that names `source`."""
    try:
        with warnings.catch_warnings():
            # Pillow warns of bad metadata, and of more than 89 million pixels.
            warnings.simplefilter("ignore")
            yield
    except MemoryError:
        raise UserError(f"{shown(source)} is larger than the memory") from None
    except Exception as error:  # Pillow's decoders raise many classes for damaged files
        raise UserError(f"{shown(source)} cannot be read as an image: {_reason(error)}") from None


def is_plain(image: Image.Image) -> bool:
    """Whether an open image is a JPEG that OpenCV and `read_image` read alike."""
    return (
        image.format in PLAIN_FORMATS
        and image.mode in PLAIN_MODES
        and not _is_transparent(image)
        and image.width * image.height <= LARGEST_IMAGE
        and _turn(image) is None
    )


def _shrink(image: Image.Image) -> None:
    """Scale a JPEG with too many pixels down while it is read; raise ValueError for others."""
    if image.width * image.height > LARGEST_IMAGE:
        image.draft(None, LARGEST_DRAFT)
    if image.width * image.height > LARGEST_IMAGE:
        raise ValueError(
            f"it has {image.width:,} x {image.height:,} pixels, more than the limit of "
            f"{LARGEST_IMAGE:,}"
        )


def _turn(image: Image.Image) -> Image.Transpose | None:
    """The operation that turns the image upright; None if it is, or if its EXIF cannot be read."""
    try:
        return TURNS.get(image.getexif().get(ExifTags.Base.Orientation, 1))
    except Exception:  # damaged metadata: the image may still be sound
        return None


def _rgb(image: Image.Image) -> np.ndarray:
    if image.mode == "I" or image.mode.startswith("I;16"):  # "I" is Pillow's older name for 16 bits
        eight_bits = np.rint(np.arange(65536) / 257).astype(np.uint8)
        return _repeated(eight_bits[np.clip(np.asarray(image), 0, 65535)])
    if image.mode == "F":
        return _repeated(_from_floats(np.array(image, np.float32)))
    if _is_transparent(image):
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))


def _is_transparent(image: Image.Image) -> bool:
    return image.mode in TRANSPARENT_MODES or "transparency" in image.info


def _from_floats(values: np.ndarray) -> np.ndarray:
    """Grey values as uint8; floats have no fixed range: up to 1, 255 and 65535 are common."""
    values /= next((top for top in (1, 255, 65535) if values.max() <= top), values.max())
    np.clip(values, 0, 1, out=values)
    values *= 255
    return np.rint(values, out=values).astype(np.uint8)


def _repeated(grey: np.ndarray) -> np.ndarray:
    return np.repeat(grey[..., None], 3, axis=2)


def _reason(error: Exception) -> str:
    if isinstance(error, Image.UnidentifiedImageError):
        return "Pillow does not recognise it"
    return getattr(error, "strerror", None) or str(error) or type(error).__name__


def shown(source) -> str:
    """A file name for messages, on one line and with all characters printable."""
    if isinstance(source, io.IOBase):
        name = "standard input"
    else:
        name = os.fsencode(source).decode("utf-8", "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
