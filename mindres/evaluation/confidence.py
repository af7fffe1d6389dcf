"""How far a network's probabilities can be believed, as its validation images tell.

The temperature makes the probabilities honest; the thresholds say from which probability on an
answer is given, where so many of the answers that are given must be right.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from mindres.evaluation.probabilities import log_softmax, softmax

if TYPE_CHECKING:
    from numpy.typing import NDArray

BINS = 15
# What can be promised of the answers that are given.
PRECISIONS = (0.8, 0.9, 0.95, 0.98, 0.99, 0.995, 0.999)
STEPS = 16  # of the share of images that get an answer
RISK = 0.05  # that the images promise more than other images keep


def confidence_of(logits: NDArray, labels: NDArray) -> dict:
    """What a checkpoint notes of its confidence, from validation images.

    Args:
        logits, labels: float (N, classes) and int (N,).

    Returns a dict: `images`, their number; `temperature`; `calibration_error`, the error before and
    after it; and `thresholds`, a list of [precision, threshold, share of images that get an answer]
    for those of `PRECISIONS` that so many images can promise.
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
    """What to divide logits by, so that the cross entropy is least (Guo et al., 2017, section 4.2).

    A prior of a normal distribution of its logarithm, of which one image more or less outweighs
    the pull, keeps it finite where all images are right.
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
        confidence, right: the probability of each image's answer and whether it is right, (N,).

    Returns float (BINS, 3): how many images, their mean confidence, and their accuracy; the last
    two are 0 where there are none.
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
    """From which confidence on answers are so often right, and the share of images that get one.

    None where these images cannot promise it. The promise is kept on other images of the same kind
    with a probability of 1 - `RISK`: by the exact binomial bound of each of `STEPS` shares, after
    Geifman and El-Yaniv (2017), algorithm 1.
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
