"""Reads any image file as RGB."""

from __future__ import annotations

import io
import os
import warnings
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps

from mindres.data.folder import IMAGE_SUFFIXES
from mindres.errors import UserError

LARGEST_IMAGE = 55_000_000  # pixels: with what its mode takes, less than a gigabyte; a telephone's photograph has 50

LARGEST_DRAFT = (4096, 4096)  # where a larger JPEG may be read at a half, a quarter or an eighth


def image_files(folder) -> list[Path]:
    """The image files below `folder`, in order; `UserError` when there are none."""
    folder = Path(os.path.expanduser(folder))
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    found = sorted(
        p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file()
    )
    if not found:
        raise UserError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return found


def read_image(source) -> np.ndarray:
    """An image as uint8 RGB (H, W, 3), turned as its EXIF orientation says.

    Any mode that Pillow reads: grey, palette and CMYK become RGB, 16 bits a value become 8, what is transparent
    becomes white, and of an animation the first frame is taken. `source` is a path or a binary file.

    Raises:
        UserError: the image cannot be read.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of metadata that it cannot use, and of images larger than 89 million pixels.
            warnings.simplefilter("ignore")
            with Image.open(source) as image:
                if image.width * image.height > LARGEST_IMAGE:
                    image.draft(None, LARGEST_DRAFT)  # JPEG alone can be read smaller
                if image.width * image.height > LARGEST_IMAGE:
                    raise ValueError(
                        f"it has {image.width:,} x {image.height:,} pixels, and {LARGEST_IMAGE:,} in all "
                        "are the most"
                    )
                ImageOps.exif_transpose(image, in_place=True)
                return _rgb(image)
    except MemoryError:
        raise UserError(f"{shown(source)} is larger than the memory") from None
    except Exception as error:  # Pillow's decoders raise what the damaged field happens to cause
        reason = (
            "it is no image that Pillow knows"
            if isinstance(error, Image.UnidentifiedImageError)
            else getattr(error, "strerror", None) or error or type(error).__name__
        )
        raise UserError(f"{shown(source)} cannot be read as an image: {reason}") from None


def _rgb(image):
    if image.mode == "I" or image.mode.startswith("I;16"):  # "I" is Pillow's older name for 16 bits
        eight_bits = np.rint(np.arange(65536) / 257).astype(np.uint8)
        return np.repeat(eight_bits[np.clip(np.asarray(image), 0, 65535)][..., None], 3, axis=2)
    if image.mode == "F":
        values = np.array(image, np.float32)
        # It has no fixed range: up to 1, 255 or 65535 are all common.
        values /= next((top for top in (1, 255, 65535) if values.max() <= top), values.max())
        np.clip(values, 0, 1, out=values)
        values *= 255
        return np.repeat(np.rint(values, out=values).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))


def shown(source) -> str:
    """A file name for messages: one line, whatever characters it has."""
    name = (
        "standard input"
        if isinstance(source, io.IOBase)
        else os.fsencode(source).decode("utf-8", "backslashreplace")
    )
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)
