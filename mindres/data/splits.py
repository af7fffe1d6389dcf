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


def split_by_path(labels, keys: list[bytes], val: float, test: float, seed: int) -> dict:
    """The indices of each part, by its name: each image's part follows from a hash of its own key.

    "val" and "test" have about `val` and `test` of each class. Other files that come or go move no
    image, and "val" is the same with test images and without. Small classes are the exception:
    where the hash would leave a part without a class, the image nearest to that part takes it.

    Args:
        labels: of the images, (N,).
        keys: of the images: the file's path relative to the data set's folder, or one name for
            images that must stay together.
        val, test: in [0, 1); a part of 0 is empty.
        seed: another seed chooses other images.

    A class that has fewer keys than there are parts is missing from some of them.
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
    """Give each part that has none of `members` one of them, out of the part that has most."""
    for name in wanted:
        if (part[members] == name).any():
            continue
        most = max(wanted, key=lambda other: (part[members] == other).sum())
        givers = members[part[members] == most]
        if len(givers) > 1:
            order = places[givers]
            part[givers[order.argmax() if name == "train" else order.argmin()]] = name


def _place(path: bytes, seed: int) -> float:
    """A number in [0, 1) that follows from the path and the seed alone."""
    digest = hashlib.sha256(b"%d/%s" % (seed, path)).digest()
    return int.from_bytes(digest[:6], "big") / 2**48
