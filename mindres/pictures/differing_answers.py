"""Images on which one of two networks is right and the other wrong."""

from __future__ import annotations

import numpy as np

from mindres.evaluation.comparison import Comparison
from mindres.evaluation.trained_data import pick
from mindres.pictures.drawing import denormalize, image_grid, note, short


def differing(comparison: Comparison, data, count=24):
    """The images of `data` on which two networks differ, the most confident mistakes first.

    The title has both predictions, in blue if the second network is right, in red if the first is.
    """
    rows = comparison.differing()[:count]
    if not rows:
        return note(f"no difference on {comparison.first.num_images:,} images")
    positions = np.array([row["position"] for row in rows])
    titles = [f"{short(row['first'])} / {short(row['second'])}" for row in rows]
    colors = ["blue" if row["second"] == row["true"] else "red" for row in rows]
    shown = denormalize(pick(data, positions), data.mean, data.std)
    return image_grid(shown, titles, colors, 6)
