"""How large the images of a folder are, and how much of them a crop leaves."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image

from mindres.data.dataset import ImageDataset

SAMPLED = 300  # images whose headers are read


@dataclass
class Sizes:
    """Of a sample of images, the medians.

    width, height: pixels.
    shown: the share of an image's area that is seen outside of training.
    """

    width: int
    height: int
    shown: float


def image_sizes(data: ImageDataset) -> Sizes | None:
    """The sizes of the images of `data`; None where all have one size and none is cropped."""
    if data.native_size is not None:
        return None
    images = data.images  # type: ignore[attr-defined]
    found = []
    for path, _ in images[:: -(-len(images) // SAMPLED)]:
        with Image.open(path) as image:  # which reads no more than the header
            found.append(image.size)
    sizes = np.array(found, float)
    return Sizes(
        width=int(np.median(sizes[:, 0])),
        height=int(np.median(sizes[:, 1])),
        shown=float(np.median(_shown(sizes, data))),
    )


def _shown(sizes: np.ndarray, data: ImageDataset) -> np.ndarray:
    """The shares of the images' areas, (N,), that the middle crop of `data` leaves."""
    height, width = data.resize
    scale = min(height, width) / data.crop_fraction / sizes.min(axis=1)
    left = np.minimum(1, np.array([width, height]) / (scale[:, None] * sizes))
    return left.prod(axis=1)
