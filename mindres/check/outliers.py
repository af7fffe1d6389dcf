"""Finds images that are unlike all others of the data set."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindres.check.neighbours import nearest
from mindres.check.quality import robust_deviations
from mindres.evaluation.likeness import directions

NEIGHBOURS = 5
DEVIATIONS = 5.0  # robust standard deviations above the median distance
LEAST_IMAGES = 50


def find_outliers(features: NDArray) -> dict[int, float]:
    """The images whose nearest neighbours are far away, with their scores by position.

    The distance is 1 minus the mean cosine similarity to the five nearest (Sun et al., 2022).

    Args:
        features: float (N, D).
    """
    if len(features) < LEAST_IMAGES:
        return {}
    distance = 1 - nearest(directions(features), NEIGHBOURS).mean(axis=1)
    deviations = robust_deviations(distance, distance)
    found = np.flatnonzero(deviations > DEVIATIONS)
    return {int(i): float(1 - DEVIATIONS / deviations[i] / 2) for i in found}
