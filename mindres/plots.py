"""Pictures of images and answers, with NumPy and Matplotlib alone. Every function returns the figure."""

from __future__ import annotations

import math

import numpy as np
from matplotlib.figure import Figure

from mindres.files import replacing


def prediction_grid(images, predicted, truth=None, probabilities=None, columns=6):
    """A grid of images titled with the prediction: blue where it is right, red where it is wrong.

    Args:
        images: displayable images (N, H, W, 3) in [0, 1].
        predicted: predicted class names, N of them.
        truth: true class names; None leaves the titles black.
        probabilities: probability of each prediction, shown behind it.
        columns: images in a row.
    """
    rows = math.ceil(len(images) / columns)
    figure = Figure(figsize=(1.7 * columns, 2.0 * rows), layout="constrained")
    axes = figure.subplots(rows, columns, squeeze=False).flat
    for axis in axes:
        axis.axis("off")
    for i, axis in enumerate(axes[:len(images)]):
        title, color = str(predicted[i]), "black"
        if probabilities is not None:
            title += f" {probabilities[i]:.0%}"
        if truth is not None:
            color = "blue" if predicted[i] == truth[i] else "red"
            title += "" if color == "blue" else f"\nis {truth[i]}"
        axis.set_title(title, color=color, fontsize=9)
        axis.imshow(images[i], interpolation="nearest")
    return figure


def denormalize(images, mean, std):
    """Normalised images (N, C, H, W) as displayable ones: (N, H, W, C) in [0, 1]."""
    return np.clip(np.transpose(images, (0, 2, 3, 1)) * std + mean, 0, 1)


def save(figure, path):
    """Write `figure` as PNG, SVG or PDF by the ending of `path`, whole or not at all."""
    with replacing(path) as part:
        figure.savefig(part, dpi=150)
