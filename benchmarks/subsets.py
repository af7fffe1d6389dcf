"""Subsets of data sets for the accuracy benchmarks."""

from __future__ import annotations

import copy
import hashlib

import numpy as np
from sklearn.model_selection import train_test_split

VALIDATION = 0.15  # fraction of a subset for validation, as `mindres train` holds out of a folder


def subset(data, chosen):
    """A copy of an `ImageDataset` with only the images `chosen`, indices of those in its files."""
    other = copy.copy(data)
    other.indices = lambda: chosen
    # This becomes part of the fingerprint, by which cached features are found.
    other.subset = hashlib.sha256(np.ascontiguousarray(chosen).tobytes()).hexdigest()
    return other


def divided(train_data, val_data, chosen, seed: int) -> tuple:
    """The images `chosen` divided into training and validation images, stratified."""
    labels = train_data.labels()[chosen]
    train, val = train_test_split(
        np.sort(chosen), test_size=VALIDATION, stratify=labels, random_state=seed
    )
    return subset(train_data, np.sort(train)), subset(val_data, np.sort(val))


def stratified(labels, count: int, seed: int):
    """The indices of `count` images with the classes in proportion."""
    if count >= len(labels):
        return np.arange(len(labels))
    chosen, _ = train_test_split(
        np.arange(len(labels)), train_size=count, stratify=labels, random_state=seed
    )
    return np.sort(chosen)


def long_tailed(labels, largest: int, ratio: float, seed: int):
    """The places of images of classes that shrink geometrically from `largest`, by `ratio` in all.

    Source: arXiv:1901.05555, section 5, with the classes in the order of their numbers.
    """
    rng = np.random.default_rng(seed)
    classes = int(labels.max()) + 1
    counts = [round(largest * ratio ** (-k / (classes - 1))) for k in range(classes)]
    chosen = [
        rng.choice(np.flatnonzero(labels == k), count, replace=False)
        for k, count in enumerate(counts)
    ]
    return np.sort(np.concatenate(chosen))
