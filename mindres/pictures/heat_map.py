"""Heat maps laid over images."""

from __future__ import annotations

import matplotlib
import numpy as np

from mindres.pictures.drawing import as_rgb

COLORS = "turbo"
OPACITY = 0.7  # at a heat of 1


def overlay(image, heat):
    """`image` with `heat` (h, w) in [0, 1] laid over it: float (H, W, 3) in [0, 1]."""
    image = as_rgb(image)
    heat = enlarge(np.asarray(heat, float), image.shape[:2])
    color = matplotlib.colormaps[COLORS](heat)[..., :3]
    opacity = OPACITY * heat[..., None]
    return (1 - opacity) * image + opacity * color


def enlarge(heat, shape):
    """`heat` (h, w) resized to `shape` bilinearly, as by PyTorch with `align_corners=False`."""
    for axis, size in enumerate(shape):
        at = (np.arange(size) + 0.5) * heat.shape[axis] / size - 0.5
        low = np.clip(np.floor(at).astype(int), 0, heat.shape[axis] - 1)
        high = np.minimum(low + 1, heat.shape[axis] - 1)
        part = np.clip(at - low, 0, 1)
        part = part[:, None] if axis == 0 else part
        heat = np.take(heat, low, axis) * (1 - part) + np.take(heat, high, axis) * part
    return heat
