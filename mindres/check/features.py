"""Features by which images are compared: a network's, or thumbnails."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mindres.check.checked_images import CheckedImages
from mindres.check.measures import Measures
from mindres.training.frozen_features import features_of


def network_features(net, images: CheckedImages) -> NDArray:
    """The inputs of a network's classifier, float32 (N, D), computed once and kept in the cache.

    They are averages over the image and its mirror image, if that belongs to the same class.
    """
    kept = (features_of(net, part, tta=part.mirrored, of_classifier=True) for part in images.parts)
    pieces = (rows for part in kept for _, rows in part.pieces())
    return np.concatenate([rows.reshape(*rows.shape[:2], -1).mean(axis=2) for rows in pieces])


def pixel_features(measures: Measures) -> NDArray:
    """The thumbnails as features, float32 (N, 768), for when there is no network."""
    flat = measures.thumbnails.reshape(len(measures.thumbnails), -1)
    return flat.astype(np.float32) / 255
