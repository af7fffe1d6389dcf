"""Shifts, mirrors and normalises small images a batch at a time.

This is several times as fast as one image after the other.
"""

from __future__ import annotations

import numpy as np
from mindspore import dataset as ds


class BatchTransform:
    """Turns a batch of uint8 images (N, H, W, C) into what a network takes: float32 (N, C, H, W).

    Random numbers follow from MindSpore's seed and the shard. The generator restarts when that seed
    changes; use one worker if the order must repeat.

    Args:
        shift: by up to how many pixels each image is shifted; black enters at the edge.
        mirror: whether half of the images are mirrored.
        mean, std: of values in [0, 1], for each channel.
        shard: the number of this worker among several.
    """

    def __init__(self, shift, mirror, mean, std, shard=0):
        self.shift = shift
        self.mirror = mirror
        self.mean = mean
        self.std = std
        self.shard = shard
        self.seed = None
        self.random = None

    def __call__(self, images):
        if self.seed != ds.config.get_seed():
            self.seed = ds.config.get_seed()
            self.random = np.random.default_rng((self.seed, self.shard))
        if self.shift:
            top, left = self.random.integers(0, 2 * self.shift + 1, (2, len(images)))
            images = shifted(images, top, left, self.shift)
        if self.mirror:
            images = images.copy()
            chosen = self.random.random(len(images)) < 0.5
            images[chosen] = images[chosen, :, ::-1]
        return normalized(images, self.mean, self.std)


def shifted(images, top, left, border: int) -> np.ndarray:
    """Crops of the size of the images, (N, H, W, C), after a black border was put around them.

    They begin `top` and `left` pixels, (N,), into the bordered images.
    """
    count, height, width, channels = images.shape
    bordered = np.zeros((count, height + 2 * border, width + 2 * border, channels), images.dtype)
    bordered[:, border:-border, border:-border] = images
    # Whole rows of a crop as items, of which NumPy copies as many a second as of single values.
    rows: np.ndarray = np.ndarray(
        (count, height + 2 * border, 2 * border + 1),
        f"V{width * channels * images.itemsize}",
        bordered,
        strides=bordered.strides[:3],
    )
    crops = rows[np.arange(count)[:, None], top[:, None] + np.arange(height), left[:, None]]
    return crops.view(images.dtype).reshape(images.shape)


def normalized(images, mean, std) -> np.ndarray:
    """uint8 (N, H, W, C) to float32 (N, C, H, W): scaled to [0, 1], less `mean`, divided by `std`.

    One grey channel is repeated for each mean.
    """
    mean, std = (255 * np.array(values, np.float32)[:, None, None] for values in (mean, std))
    out = np.subtract(images.transpose(0, 3, 1, 2), mean, dtype=np.float32, order="C")
    out /= std
    return out
