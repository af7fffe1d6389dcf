"""Shifts, mirrors and normalises small images batch by batch.

This is several times as fast as processing single images.
"""

from __future__ import annotations

import numpy as np
from mindspore import dataset as ds


class BatchTransform:
    """Turns uint8 images (N, H, W, C) into augmented and normalised float32 (N, C, H, W).

    Random numbers follow from MindSpore's seed and the shard. The generator restarts when that seed
    changes; use one worker if the order must repeat.

    Args:
        shift: largest shift of an image in pixels; black enters at the edge.
        mirror: whether to mirror half of the images.
        mean, std: normalisation of values in [0, 1], by channel.
        shard: the number of this worker.
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
    """Crop images, (N, H, W, C), to their own size after adding a black border.

    The crops start at `top` and `left`, (N,), in pixels of the bordered images.
    """
    count, height, width, channels = images.shape
    bordered = np.zeros((count, height + 2 * border, width + 2 * border, channels), images.dtype)
    bordered[:, border:-border, border:-border] = images
    # NumPy copies items of any size at the same rate, so an item here is a whole row of a crop.
    rows: np.ndarray = np.ndarray(
        (count, height + 2 * border, 2 * border + 1),
        f"V{width * channels * images.itemsize}",
        bordered,
        strides=bordered.strides[:3],
    )
    crops = rows[np.arange(count)[:, None], top[:, None] + np.arange(height), left[:, None]]
    return crops.view(images.dtype).reshape(images.shape)


def normalized(images, mean, std) -> np.ndarray:
    """Normalise uint8 (N, H, W, C) in [0, 255] by `mean` and `std` to float32 (N, C, H, W).

    A single grey channel is repeated for each mean.
    """
    mean, std = (255 * np.array(values, np.float32)[:, None, None] for values in (mean, std))
    out = np.subtract(images.transpose(0, 3, 1, 2), mean, dtype=np.float32, order="C")
    out /= std
    return out
