"""The confusion matrix of an evaluation."""

from __future__ import annotations

import math

import numpy as np

from mindres.evaluation.evaluation import Evaluation
from mindres.pictures.drawing import Figure, short, text

# With more classes, cells are too small for numbers, and rows for names.
MOST_CLASSES_WITH_NUMBERS = 30
MOST_NAMES = 25  # on an axis without numbers


def confusion(evaluation: Evaluation):
    """The confusion matrix of an evaluation."""
    return confusion_matrix(evaluation.confusion_matrix, evaluation.classes)


def confusion_matrix(matrix, classes):
    """A heat map of `matrix[true, predicted]`, shaded by the fraction of the true class.

    Each cell shows its count, the last column the recall, the last row the precision, and the
    corner the accuracy. More than 30 classes are drawn without numbers.
    """
    matrix = np.asarray(matrix)
    n = len(matrix)
    with_numbers = n <= MOST_CLASSES_WITH_NUMBERS
    size = 3 + (0.48 * n if with_numbers else 0.12 * min(n, 100))
    figure = Figure(figsize=(size + 0.6, size), layout="compressed")
    axis = figure.subplots()
    shares = matrix / np.maximum(matrix.sum(axis=1), 1)[:, None]
    picture = axis.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    figure.colorbar(picture, ax=axis, shrink=0.7, label="share of the true class")
    axis.set(xlabel="predicted", ylabel="true")
    axis.tick_params(length=0)
    names = [short(name) for name in classes]
    if with_numbers:
        _write_counts(axis, matrix, shares)
        _write_scores(axis, matrix)
        _name(axis, np.arange(n + 1), [*names, "recall"], [*names, "precision"])
    else:
        ticks = np.arange(0, n, math.ceil(n / MOST_NAMES))
        some = [names[i] for i in ticks]
        _name(axis, ticks, some, some)
    return figure


def _write_counts(axis, matrix, shares) -> None:
    for (row, column), count in np.ndenumerate(matrix):
        color = "black" if count else "silver"
        if shares[row, column] > 0.5:
            color = "white"
        _write(axis, column, row, f"{count:d}", fontsize=9, color=color)


def _write_scores(axis, matrix) -> None:
    """Write recall beside the rows, precision below the columns, and accuracy into the corner."""
    n = len(matrix)
    right = matrix.diagonal()
    for i in range(n):
        recall = percent(right[i], matrix[i].sum())
        precision = percent(right[i], matrix[:, i].sum())
        _write(axis, n, i, recall, fontsize=8, color="dimgray")
        _write(axis, i, n, precision, fontsize=8, color="dimgray")
    _write(axis, n, n, percent(right.sum(), matrix.sum()), fontsize=8, weight="bold")
    axis.set(xlim=(-0.5, n + 0.5), ylim=(n + 0.5, -0.5))
    axis.axhline(n - 0.5, color="gray", linewidth=0.6)
    axis.axvline(n - 0.5, color="gray", linewidth=0.6)


def _write(axis, column, row, words, **style) -> None:
    axis.text(column, row, words, ha="center", va="center", **style)


def _name(axis, ticks, columns, rows) -> None:
    axis.set_xticks(ticks, columns, rotation=90, **text(9))
    axis.set_yticks(ticks, rows, **text(9))


def percent(part, whole):
    """A fraction in whole percent, or a dash if `whole` is 0."""
    return f"{part / whole:.0%}" if whole else "-"
