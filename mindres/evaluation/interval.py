"""How sure an accuracy is."""

from __future__ import annotations

import math

Z = 1.959964  # of the normal distribution: 95% lie within so many standard deviations


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95% interval of a share of which `right` out of `count` were counted (Wilson, 1927).

    It holds for few images and for shares near 0 and 1, too.
    """
    share = right / count
    centre = share + Z**2 / (2 * count)
    half = Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    whole = 1 + Z**2 / count
    return max(0.0, (centre - half) / whole), min(1.0, (centre + half) / whole)
