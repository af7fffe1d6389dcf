"""Copies of images: of the same pixels, re-encoded, resized, or mirrored."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindres.check.measures import Measures
from mindres.check.neighbours import normalised, similar_pairs

# Copies of CIFAR-10 images as JPEG of quality 50 have 9.2 and 0.969 at the worst of 600; of 75, 24
# or 64 pixels, or mirrored, they are closer.
ALIKE = 0.965  # correlation of the thumbnails of two copies
CLOSE = 10.0  # root mean square of their difference, in values from 0 to 255
PLAIN = 3.0  # standard deviation of a thumbnail below which it tells nothing
EXACT = 1.0


@dataclass
class Copies:
    """Pairs of positions (i < j), int (P, 2), and how sure it is that they are copies, (P,)."""

    pairs: NDArray
    scores: NDArray

    def sets(self, count: int) -> NDArray:
        """The number of the set of copies that each of `count` images belongs to, (count,)."""
        from scipy.sparse import coo_array
        from scipy.sparse.csgraph import connected_components

        ones = np.ones(len(self.pairs))
        links = coo_array((ones, (self.pairs[:, 0], self.pairs[:, 1])), shape=(count, count))
        return connected_components(links, directed=False)[1]


def find_copies(measures: Measures) -> Copies:
    """All pairs of images of which one is a copy of the other, the surest first."""
    flat = measures.thumbnails.reshape(len(measures.thumbnails), -1).astype(np.float32)
    mirrored = measures.thumbnails[:, :, ::-1].reshape(flat.shape).astype(np.float32)
    telling = flat.std(axis=1) >= PLAIN
    numbers = np.flatnonzero(telling)
    scores = _exact(measures.digests)
    one = normalised(_centred(flat[numbers]))
    for other in (flat, mirrored):
        two = normalised(_centred(other[numbers]))
        pairs, alike = similar_pairs(one, two, ALIKE)
        pairs = numbers[pairs]
        distance = _distance(flat, other, pairs)
        for (i, j), likeness, apart in zip(pairs.tolist(), alike.tolist(), distance.tolist()):
            if apart <= CLOSE:
                score = min(likeness, 1.0) * (1 - apart / CLOSE / 10)
                scores[i, j] = max(scores.get((i, j), 0.0), score)
    found = sorted(scores.items(), key=lambda item: (-item[1], item[0]))
    pairs = np.array([pair for pair, _ in found], np.int64).reshape(-1, 2)
    return Copies(pairs, np.array([score for _, score in found]))


def _exact(digests: list[bytes]) -> dict[tuple[int, int], float]:
    """Each image of the same pixels as an earlier one, with the first of them."""
    first: dict[bytes, int] = {}
    pairs = ((first.setdefault(digest, i), i) for i, digest in enumerate(digests))
    return {pair: EXACT for pair in pairs if pair[0] != pair[1]}


def _centred(flat: NDArray) -> NDArray:
    return flat - flat.mean(axis=1, keepdims=True)


def _distance(flat: NDArray, other: NDArray, pairs: NDArray) -> NDArray:
    """The root mean square of the difference of each pair, a block at a time."""
    found = [np.empty(0)]
    for start in range(0, len(pairs), 4096):
        i, j = pairs[start : start + 4096].T
        found.append(np.sqrt(((flat[i] - other[j]) ** 2).mean(axis=1)))
    return np.concatenate(found)
