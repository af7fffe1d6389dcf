"""Softmax in NumPy."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray


def log_softmax(logits: NDArray) -> NDArray:
    """The logarithms of the probabilities of logits (N, classes), in float64."""
    scores = logits.astype(np.float64)
    shifted = scores - scores.max(axis=1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))


def softmax(logits: NDArray) -> NDArray:
    """The probabilities of logits (N, classes), in float64."""
    return np.exp(log_softmax(logits))
