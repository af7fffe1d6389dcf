"""Measures size, brightness, contrast and sharpness of images, and makes thumbnails."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from tqdm import tqdm

from mindres.check.checked_images import CheckedImages

THUMBNAIL = 16  # pixels of a side
SHARPNESS_SIDE = 256  # pixels; larger images are reduced to this before sharpness is measured


@dataclass
class Measures:
    """The measures of N images.

    sizes: (height, width) in pixels, int (N, 2).
    brightness: 99th percentile of the grey values from 0 to 1, (N,).
    contrast: difference of their 99th and 1st percentile, (N,).
    sharpness: mean square of the Laplacian divided by the variance, (N,).
    digests: SHA-256 digests of the pixels.
    thumbnails: uint8 (N, 16, 16, 3).
    """

    sizes: NDArray
    brightness: NDArray
    contrast: NDArray
    sharpness: NDArray
    digests: list[bytes]
    thumbnails: NDArray


def measure(images: CheckedImages) -> Measures:
    """Measure every image."""
    bar = tqdm(
        images.pixels(),
        total=len(images),
        desc="looking at images",
        unit="image",
        disable=None,
        leave=False,
    )
    return measures_of(bar)


def measures_of(images: Iterable[NDArray]) -> Measures:
    """The measures of images, uint8 (H, W, C)."""
    rows = list(zip(*(_measured(image) for image in images)))
    sizes, brightness, contrast, sharpness, digests, thumbnails = rows
    return Measures(
        np.array(sizes),
        np.array(brightness),
        np.array(contrast),
        np.array(sharpness),
        list(digests),
        np.stack(thumbnails),
    )


def _measured(pixels: NDArray) -> tuple:
    rgb = np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels
    image = Image.fromarray(rgb)
    digest = hashlib.sha256(repr(rgb.shape).encode() + rgb.tobytes()).digest()
    thumbnail = image.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)
    if max(image.size) > SHARPNESS_SIDE:
        image.thumbnail((SHARPNESS_SIDE, SHARPNESS_SIDE), Image.Resampling.BOX)
    grey = np.asarray(image.convert("L"), np.float32) / 255
    low, high = np.percentile(grey, (1, 99))
    return (
        pixels.shape[:2],
        float(high),
        float(high - low),
        _sharpness(grey),
        digest,
        np.asarray(thumbnail),
    )


def _sharpness(grey: NDArray) -> float:
    """The mean square of the Laplacian (Pech-Pacheco et al., 2000) divided by the variance."""
    if min(grey.shape) < 3:
        return 0.0
    inner = grey[1:-1, 1:-1]
    laplacian = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:] - 4 * inner
    return float((laplacian**2).mean() / max(grey.var(), 1e-8))
