"""Makes classes of few images count as much as those of many.

`sample` draws the images of an epoch so that each class comes equally often; `weight` takes every
image once, and multiplies its loss by what its class lacks. NumPy is imported where it is used:
`--help` needs it not.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from mindres.errors import UserError, unknown

if TYPE_CHECKING:
    from numpy.typing import NDArray

BALANCES = ("none", "sample", "weight")
RATIO = 3  # of the largest to the smallest class, from which on classes are balanced
AUTO = "sample"  # measures better than "weight": benchmarks/results/balance.md


def class_counts(data) -> NDArray:
    """The number of the split's images of each class, int (classes,)."""
    import numpy as np

    return np.bincount(data.split_labels(), minlength=len(data.classes))


def is_uneven(counts) -> bool:
    """Whether the largest class has `RATIO` times the images of the smallest that has any."""
    there = counts[counts > 0]
    return len(there) > 1 and there.max() >= RATIO * there.min()


def settled(balance: str, counts) -> str:
    """The way of balancing that "auto" stands for with these class counts; others as they are."""
    if balance == "auto":
        return AUTO if is_uneven(counts) else "none"
    return balance


def check(balance: str, train_data, shards) -> None:
    """Raise `UserError` where `train_data` cannot be balanced in this way."""
    if balance not in BALANCES:
        raise unknown("balance", balance, BALANCES)
    if balance != "none" and not hasattr(train_data, "split_labels"):
        raise UserError("balance takes a data set of mindres.data, which knows its labels")
    if balance == "sample" and shards is not None:
        raise UserError("several workers cannot draw balanced samples: say `balance=weight`")


def class_weights(counts) -> NDArray:
    """What the loss of each class is multiplied by, float32 (classes,), 1 in the mean of images."""
    import numpy as np

    there = np.maximum(counts, 1)
    return (counts.sum() / (np.count_nonzero(counts) * there)).astype(np.float32)


def sampled(data):
    """The same images, drawn so that each class comes equally often."""
    other = copy.copy(data)
    other.balanced = True
    return other


def line(counts, classes, balance: str, select: str) -> str:
    """What is done about classes of few images, in one line; "" where nothing is."""
    if balance == "none" or not counts.any():
        return ""
    few = min(range(len(counts)), key=lambda number: counts[number] or float("inf"))
    many = int(counts.argmax())
    return (
        f"{classes[few]} has {counts[few]:,} training images and {classes[many]} {counts[many]:,}: "
        f"classes count alike in training (`balance={balance}`), and {select.replace('_', ' ')} "
        f"chooses the best weights (`select={select}`)"
    )
