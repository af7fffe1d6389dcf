"""Metrics of a classifier. A new one is a function of the confusion matrix and a row of `METRICS`.

The row's name is its column in history.csv, its key in JSON, and the value of `--select`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from numpy.typing import NDArray


@dataclass(frozen=True)
class Metric:
    """A row: the metric's title, a description, and a function of the confusion matrix.

    The function returns a fraction, of which more is better. The matrix has the number of images by
    true class (rows) and predicted class (columns).
    """

    title: str
    description: str
    value: Callable[[NDArray], float]


def accuracy(confusion: NDArray) -> float:
    """The fraction of images that are classified correctly."""
    return float(confusion.trace() / max(confusion.sum(), 1))


def balanced_accuracy(confusion: NDArray) -> float:
    """The mean recall of the classes that have images, scikit-learn's `balanced_accuracy_score`."""
    support = confusion.sum(axis=1)
    there = support > 0
    return float((confusion.diagonal()[there] / support[there]).mean()) if there.any() else 0.0


def macro_f1(confusion: NDArray) -> float:
    """The mean F1 of the classes that have images or predictions, scikit-learn's `f1_score`."""
    total = confusion.sum(axis=0) + confusion.sum(axis=1)
    there = total > 0
    return float((2 * confusion.diagonal()[there] / total[there]).mean()) if there.any() else 0.0


METRICS = {
    "accuracy": Metric("Accuracy", "fraction of images that are classified correctly", accuracy),
    "balanced_accuracy": Metric(
        "Balanced accuracy", "mean over the classes of their recall", balanced_accuracy
    ),
    "macro_f1": Metric("Macro F1", "mean over the classes of their F1", macro_f1),
}


def confusion_matrix(labels: NDArray, predicted: NDArray, classes: int) -> NDArray:
    """The number of images by true and predicted class, int64 (classes, classes)."""
    import numpy as np  # imported here because `--help` shows the rows without NumPy

    counts = np.bincount(labels.astype(np.int64) * classes + predicted, minlength=classes**2)
    return counts.reshape(classes, classes)


def measure(confusion: NDArray) -> dict[str, float]:
    """Every metric of a confusion matrix by its name."""
    return {name: row.value(confusion) for name, row in METRICS.items()}
