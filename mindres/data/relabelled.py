"""Labels that were corrected in a table such as check.csv of `mindres check`."""

from __future__ import annotations

import copy
import os

import numpy as np
from numpy.typing import NDArray

from mindres.data.left_out import listed_rows
from mindres.errors import UserError, suggestion


def relabel_images(data, table) -> None:
    """Let the images of `data`, an `ImageFolder`, have the labels that a table gives them.

    The split of each image follows from its earlier label.

    Args:
        table: a CSV file with the columns `path` and `label`; a row without a label, or with the
            one that the image has, changes nothing.

    Raises:
        UserError: the file cannot be read, a label is none of the classes, or two rows give one
            image different labels.
    """
    if data.divided:
        data.parts()
    labels, changed = _corrected(data, table)
    data.images = copy.copy(data.images)
    data.images.labels = labels
    data.relabelled = tuple(sorted(changed.items()))


def _corrected(data, table) -> tuple[NDArray, dict[str, str]]:
    """The labels of all images in the files, and those that the table changes, by path."""
    numbers = {name: number for number, name in enumerate(data.classes)}
    places = {os.path.abspath(path): i for i, path in enumerate(data.files())}
    labels = np.array(data.labels())
    changed: dict[str, str] = {}
    for row, path, values in listed_rows(table, "label"):
        name = (values["label"] or "").strip()
        if name and name not in numbers:
            raise UserError(f"{row}: there is no class {name!r}: {suggestion(name, numbers)}")
        place = places.get(path)
        if place is None or not name or numbers[name] == data.labels()[place]:
            continue
        if changed.setdefault(path, name) != name:
            raise UserError(
                f"{row} says that {path} is {name!r}, an earlier row that it is "
                f"{changed[path]!r}: correct one of them"
            )
        labels[place] = numbers[name]
    return labels, changed
