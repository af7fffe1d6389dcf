"""The sizes of the images of a folder, and how much of them is left by cropping."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from mindres.data.dataset import ImageDataset

SAMPLED = 300  # images whose headers are read


@dataclass
class Sizes:
    """Medians over a sample of images.

    width, height: the size in pixels.
    shown: the fraction of an image's area that validation and prediction use.
    """

    width: int
    height: int
    shown: float


def image_sizes(data: ImageDataset) -> Sizes | None:
    """The sizes of the images of `data`; None if they all have the same and are not cropped."""
    if data.native_size is not None:
        return None
    images = data.images  # type: ignore[attr-defined]
    found = []
    for path, _ in images[:: -(-len(images) // SAMPLED)]:
        with Image.open(path) as image:  # this reads only the header
            found.append(image.size)
    sizes = np.array(found, float)
    return Sizes(
        width=int(np.median(sizes[:, 0])),
        height=int(np.median(sizes[:, 1])),
        shown=float(np.median(_shown(sizes, data))),
    )


def _shown(sizes: np.ndarray, data: ImageDataset) -> np.ndarray:
    """The fraction of each image's area, (N,), that the centre crop of `data` keeps."""
    if not data.crops:
        return np.ones(len(sizes))
    height, width = data.resize
    scale = min(height, width) / data.crop_fraction / sizes.min(axis=1)
    left = np.minimum(1, np.array([width, height]) / (scale[:, None] * sizes))
    return left.prod(axis=1)
