"""Calibrates a network's probabilities on validation images.

A temperature calibrates the probabilities. A threshold is the smallest probability at which a
prediction is accepted, so that a given fraction of the accepted ones is correct.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import TYPE_CHECKING

import numpy as np

from mindres.errors import UserError
from mindres.evaluation.probabilities import log_softmax, softmax
from mindres.weights.metadata import Metadata

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 15
# The fractions of accepted predictions that can be guaranteed to be correct.
PRECISIONS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
STEPS = 16  # fractions of accepted images that are tried
RISK = 0.05  # the probability that a guarantee does not hold on other images


def threshold_of(metadata: Mapping | None, precision: float) -> float:
    """The checkpoint's threshold of probability for `precision`.

    Raises:
        UserError: the checkpoint has none.
    """
    if precision not in PRECISIONS:
        shown = ", ".join(map(str, PRECISIONS))
        raise UserError(f"`precision` must be one of {shown}, not {precision}")
    recorded = Metadata.of(metadata).confidence
    if recorded is None:
        raise UserError(
            "the checkpoint records no thresholds for `precision`: train the network with this "
            "version of mindres, which finds them on the validation images"
        )
    thresholds = {row[0]: row[1] for row in recorded["thresholds"]}
    if precision not in thresholds:
        most = f"at most {max(thresholds)}" if thresholds else "none"
        raise UserError(
            f"the validation images cannot guarantee `precision={precision}`: they guarantee {most}"
        )
    return thresholds[precision]


def confidence_of(logits: NDArray, labels: NDArray) -> dict:
    """The calibration that a checkpoint records, from validation images.

    Args:
        logits, labels: float (N, classes) and int (N,).

    Returns:
        A dict of `images`, their number; `temperature`; `calibration_error` before and after it;
        and `thresholds`, a list of [precision, threshold, fraction of accepted images] for those
        of `PRECISIONS` that these images can guarantee.
    """
    temperature = fit_temperature(logits, labels)
    right = logits.argmax(axis=1) == labels
    before = softmax(logits).max(axis=1)
    after = softmax(logits / temperature).max(axis=1)
    found = {precision: threshold_for(precision, after, right) for precision in PRECISIONS}
    return {
        "images": len(labels),
        "temperature": temperature,
        "calibration_error": [calibration_error(before, right), calibration_error(after, right)],
        "thresholds": [[precision, *row] for precision, row in found.items() if row],
    }


def fit_temperature(logits: NDArray, labels: NDArray) -> float:
    """The temperature with the least cross entropy (Guo et al., 2017, section 4.2).

    A weak normal prior of its logarithm keeps it finite if all predictions are correct.
    """
    from scipy.optimize import minimize_scalar

    images = np.arange(len(labels))

    def loss(log_temperature):
        scores = log_softmax(logits / math.exp(log_temperature))
        return -scores[images, labels].sum() + log_temperature**2 / 2

    return math.exp(minimize_scalar(loss, bounds=(-4, 4), method="bounded").x)


def calibration_bins(confidence: NDArray, right: NDArray) -> NDArray:
    """The images by confidence, in `BINS` bins of equal width from 0 to 1.

    Args:
        confidence, right: the probability of each prediction and whether it is correct, (N,).

    Returns:
        float (BINS, 3): the number of images, their mean confidence and their accuracy, which are
        0 for empty bins.
    """
    which = np.clip(np.ceil(confidence * BINS).astype(int) - 1, 0, BINS - 1)
    count = np.bincount(which, minlength=BINS)
    sums = [np.bincount(which, weights, BINS) for weights in (confidence, right)]
    return np.stack([count, *(each / np.maximum(count, 1) for each in sums)], axis=1)


def calibration_error(confidence: NDArray, right: NDArray) -> float:
    """The expected calibration error (Naeini et al., 2015): mean of |confidence - accuracy|."""
    count, sure, accuracy = calibration_bins(confidence, right).T
    return float((count * np.abs(sure - accuracy)).sum() / count.sum())


def threshold_for(precision: float, confidence: NDArray, right: NDArray):
    """The threshold that guarantees `precision`, and the fraction of images that it accepts.

    None if these images cannot guarantee it. The guarantee holds on other images of the same kind
    with a probability of 1 - `RISK`, by exact binomial bounds for `STEPS` fractions (after Geifman
    and El-Yaniv, 2017, algorithm 1).
    """
    from scipy.stats import beta

    surest = np.sort(confidence)[::-1]
    for step in range(STEPS, 0, -1):
        threshold = surest[max(0, len(surest) * step // STEPS - 1)]
        given = confidence >= threshold
        answers, correct = int(given.sum()), int(right[given].sum())
        if correct and beta.ppf(RISK / STEPS, correct, answers - correct + 1) >= precision:
            return float(threshold), answers / len(surest)
    return None
