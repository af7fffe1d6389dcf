"""The kernels of a network's first convolution."""

from __future__ import annotations

import numpy as np

from mindres.evaluation.stages import first_filters
from mindres.pictures.drawing import tiles


def filters(net):
    """The kernels of the first convolution of `net`."""
    return filter_grid(first_filters(net))


def filter_grid(weights, columns=16):
    """Kernels (out, in, height, width), in colour if they have three input channels.

    Grey is zero; each kernel is scaled by its own largest weight.
    """
    weights = np.asarray(weights, float)
    largest = np.abs(weights).max(axis=(1, 2, 3), keepdims=True)
    scaled = 0.5 + weights / np.maximum(2 * largest, 1e-12)
    images = scaled.transpose(0, 2, 3, 1) if weights.shape[1] == 3 else scaled.mean(axis=1)
    return tiles(images, columns, "gray", limits=(0, 1))
