"""Nearest neighbours by cosine similarity, in blocks of bounded memory."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

BLOCK = 2048  # vectors per block: the similarities of two blocks take 16 MB


def similar_pairs(one: NDArray, other: NDArray, least: float) -> tuple[NDArray, NDArray]:
    """The pairs (i < j) with at least the similarity `least`, int (P, 2), and similarities (P,).

    Args:
        one, other: unit vectors of the same images, (N, D); `one[i]` is compared with `other[j]`.
        least: in (-1, 1].
    """
    pairs, scores = [np.empty((0, 2), np.int64)], [np.empty(0, np.float32)]
    for i in range(0, len(one), BLOCK):
        for j in range(i, len(one), BLOCK):
            similarity = one[i : i + BLOCK] @ other[j : j + BLOCK].T
            found = np.argwhere(similarity >= least)
            found = found[found[:, 0] + i < found[:, 1] + j]
            scores.append(similarity[found[:, 0], found[:, 1]])
            pairs.append(found + np.array([i, j]))
    return np.concatenate(pairs), np.concatenate(scores)


def nearest(vectors: NDArray, count: int) -> NDArray:
    """The similarities of each unit vector to its `count` nearest others, (N, count), sorted."""
    count = min(count, len(vectors) - 1)
    best = np.full((len(vectors), count), -1, np.float32)
    for i in range(0, len(vectors), BLOCK):
        for j in range(0, len(vectors), BLOCK):
            similarity = vectors[i : i + BLOCK] @ vectors[j : j + BLOCK].T
            if i == j:
                np.fill_diagonal(similarity, -1)
            both = np.concatenate([best[i : i + BLOCK], similarity], axis=1)
            best[i : i + BLOCK] = -np.partition(-both, count - 1, axis=1)[:, :count]
    return -np.sort(-best, axis=1)
