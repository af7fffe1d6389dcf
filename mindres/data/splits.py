"""Chooses the images that are held out of training."""

from __future__ import annotations

import hashlib

import numpy as np

from mindres.errors import UserError

# How images are chosen: by the position among all, or by the path of each image's own file.
SPLIT_RULES = ("order", "path")


def split_by_order(labels, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Indices (kept, held out): `fraction` of each class is held out, the same images for a seed.

    The choice depends on the order of all images, so it suits data sets that never change.
    """
    from sklearn.model_selection import train_test_split

    try:
        kept, held = train_test_split(
            np.arange(len(labels)), test_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise UserError(
            f"{fraction} of these images cannot be held out class by class: {error}"
        ) from None
    return np.sort(kept), np.sort(held)


def split_by_path(
    labels, paths: list[bytes], fraction: float, seed: int
) -> tuple[np.ndarray, np.ndarray]:
    """Indices (kept, held out): about `fraction` of each class, each by a hash of its own path.

    Other files that come or go move no image. Small classes are the exception: where the hash would
    hold out none of a class, its first image by hash is held out; where it would hold out all, its
    last is kept.

    Args:
        labels: of the images, (N,); every class needs two images.
        paths: of the image files, relative to the folder of the data set.
        fraction: in (0, 1).
        seed: another seed chooses other images.
    """
    places = np.array([_place(path, seed) for path in paths])
    held = places < fraction
    for label in np.unique(labels):
        members = np.flatnonzero(np.asarray(labels) == label)
        if not held[members].any():
            held[members[places[members].argmin()]] = True
        elif held[members].all():
            held[members[places[members].argmax()]] = False
    return np.flatnonzero(~held), np.flatnonzero(held)


def _place(path: bytes, seed: int) -> float:
    """A number in [0, 1) that follows from the path and the seed alone."""
    digest = hashlib.sha256(b"%d/%s" % (seed, path)).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
