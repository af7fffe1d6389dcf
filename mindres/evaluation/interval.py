"""Confidence intervals of fractions."""

from __future__ import annotations

import math

Z = 1.959964  # 95% of a normal distribution lie within this many standard deviations


def wilson(right: int, count: int) -> tuple[float, float]:
    """The 95% interval of a fraction, observed as `right` of `count` (Wilson, 1927).

    It also holds for few images and for fractions near 0 and 1.
    """
    share = right / count
    centre = share + Z**2 / (2 * count)
    half = Z * math.sqrt(share * (1 - share) / count + Z**2 / (4 * count**2))
    whole = 1 + Z**2 / count
    return max(0.0, (centre - half) / whole), min(1.0, (centre + half) / whole)


def interval_text(interval: tuple[float, float] | None) -> str:
    """An interval in words; "" where there is none."""
    return f"{interval[0]:.1%} to {interval[1]:.1%}" if interval else ""
