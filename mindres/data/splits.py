"""Chooses the images that are held out of training."""

from __future__ import annotations

import hashlib

import numpy as np

from mindres.errors import UserError

# Images are chosen by their position among all, or by the path of each file.
SPLIT_RULES = ("order", "path")


def split_by_order(labels, fraction: float, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Hold out `fraction` of each class; returns the indices (kept, held out).

    The choice depends on `seed` and the order of all images, so it suits data sets that never
    change.

    Raises:
        UserError: scikit-learn cannot hold out this fraction of each class.
    """
    from sklearn.model_selection import train_test_split

    try:
        kept, held = train_test_split(
            np.arange(len(labels)), test_size=fraction, stratify=labels, random_state=seed
        )
    except ValueError as error:
        raise UserError(
            f"{fraction} of the images of each class cannot be held out: {error}"
        ) from None
    return np.sort(kept), np.sort(held)


def split_by_path(labels, keys: list[bytes], val: float, test: float, seed: int) -> dict:
    """Divide images into "train", "val" and "test" by a hash of each image's key.

    "val" and "test" have about the fractions `val` and `test` of each class. Adding or removing
    files does not move other images, and "val" is the same with and without test images. Small
    classes are an exception: if a part would have no image of a class, it gets the nearest one. A
    class with fewer keys than parts is missing from some of them.

    Args:
        labels: labels of the images, (N,).
        keys: keys of the images: each file's path relative to the data set's folder, or a common
            name for images that must stay together.
        val, test: fractions in [0, 1); a part of 0 is empty.
        seed: seed of the hash.

    Returns:
        The indices of the images of each part, by its name.
    """
    labels = np.asarray(labels)
    unique, group = np.unique(np.array(keys, dtype=object), return_inverse=True)
    places = np.array([_place(key, seed) for key in unique])
    part = np.where(places < val, "val", np.where(places < val + test, "test", "train"))
    wanted = [name for name, share in (("val", val), ("test", test), ("train", 1)) if share]
    for label in np.unique(labels):
        _fill_parts(part, places, np.unique(group[labels == label]), wanted)
    return {name: np.flatnonzero(part[group] == name) for name in ("train", "val", "test")}


def _fill_parts(part, places, members, wanted: list[str]) -> None:
    """Give each part without any of `members` one of them, from the part that has most."""
    for name in wanted:
        if (part[members] == name).any():
            continue
        most = max(wanted, key=lambda other: (part[members] == other).sum())
        givers = members[part[members] == most]
        if len(givers) > 1:
            order = places[givers]
            part[givers[order.argmax() if name == "train" else order.argmin()]] = name


def _place(path: bytes, seed: int) -> float:
    """A number in [0, 1) that depends only on path and seed."""
    digest = hashlib.sha256(b"%d/%s" % (seed, path)).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
