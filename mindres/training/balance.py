"""Balances classes of unequal size.

`sample` draws the images of an epoch so that all classes come equally often; `weight` uses every
image once and weights its loss by the inverse frequency of its class. NumPy is imported inside the
functions, since `--help` does not need it.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from mindres.errors import UserError, unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray

BALANCES = ("none", "sample", "weight")
RATIO = 3  # of the largest to the smallest class, at which "auto" balances
AUTO = "sample"  # measures better than "weight": benchmarks/results/balance.md


def class_counts(data) -> NDArray:
    """The number of the split's images of each class, int (classes,)."""
    import numpy as np

    return np.bincount(data.split_labels(), minlength=len(data.classes))


def is_uneven(counts) -> bool:
    """Whether the largest class has `RATIO` or more times the images of the smallest with any."""
    there = counts[counts > 0]
    return len(there) > 1 and there.max() >= RATIO * there.min()


def resolved(balance: str, counts) -> str:
    """`balance`, with "auto" replaced by what it means for these class counts."""
    if balance == "auto":
        return AUTO if is_uneven(counts) else "none"
    return balance


def check(balance: str, train_data, shards) -> None:
    """Raise `UserError` if `train_data` cannot be balanced in this way."""
    if balance not in BALANCES:
        raise unknown("balance", balance, BALANCES)
    if balance != "none" and not hasattr(train_data, "split_labels"):
        raise UserError("`balance` needs a data set of mindres.data, which knows its labels")
    if balance == "sample" and shards is not None:
        raise UserError("several workers cannot draw balanced samples: use `balance=weight`")


def class_weights(counts) -> NDArray:
    """The weight of each class in the loss, float32 (classes,); its mean over the images is 1."""
    import numpy as np

    there = np.maximum(counts, 1)
    return (counts.sum() / (np.count_nonzero(counts) * there)).astype(np.float32)


def sampled(data):
    """A copy of `data` that draws all classes equally often."""
    other = copy.copy(data)
    other.balanced = True
    return other


def line(counts, classes, balance: str, select: str) -> str:
    """How classes are balanced, in one line; "" if they are not."""
    if balance == "none" or not counts.any():
        return ""
    few = min(range(len(counts)), key=lambda number: counts[number] or float("inf"))
    many = int(counts.argmax())
    return (
        f"{classes[few]} has {counts[few]:,} training images and {classes[many]} {counts[many]:,}: "
        f"classes have equal weight in training (`balance={balance}`), and "
        f"{select.replace('_', ' ')} chooses the best weights (`select={select}`)"
    )
