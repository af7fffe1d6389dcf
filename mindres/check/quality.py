"""Finds blank, dark and blurred images by their measures."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindres.check.measures import Measures

BLANK = 0.02  # contrast below which an image is blank: five of 255 grey values
DARK = 0.1  # brightness below which an image is nearly black
DEVIATIONS = 4.0  # robust standard deviations below the median, of the logarithm of sharpness
BLURRED_SHARPNESS = 0.05  # sharper images are not blurred, however sharp the others are


def blank(measures: Measures) -> dict[int, float]:
    """The images of almost a single colour, with their scores by position."""
    return _below(measures.contrast, BLANK)


def dark(measures: Measures) -> dict[int, float]:
    """The images that are almost black but not blank, with their scores by position."""
    found = _below(measures.brightness, DARK)
    return {i: score for i, score in found.items() if measures.contrast[i] >= BLANK}


def blurred(measures: Measures) -> dict[int, float]:
    """The images with far less detail than the others, with their scores by position."""
    visible = (measures.contrast >= BLANK) & (measures.brightness >= DARK)
    if visible.sum() < 10:
        return {}
    detail = np.log(np.maximum(measures.sharpness, 1e-8))
    deviations = robust_deviations(detail, detail[visible])
    wrong = visible & (deviations < -DEVIATIONS) & (measures.sharpness < BLURRED_SHARPNESS)
    return {int(i): float(1 - DEVIATIONS / -deviations[i] / 2) for i in np.flatnonzero(wrong)}


def robust_deviations(values: NDArray, among: NDArray) -> NDArray:
    """The distance of `values` from the median of `among`, in robust standard deviations.

    The standard deviation is estimated from the median absolute deviation.
    """
    middle = np.median(among)
    spread = 1.4826 * np.median(np.abs(among - middle))
    return (values - middle) / max(spread, 1e-9)


def _below(values: NDArray, limit: float) -> dict[int, float]:
    found = np.flatnonzero(values < limit)
    return {int(i): float(1 - values[i] / limit / 2) for i in found}
