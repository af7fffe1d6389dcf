"""Builds data sets by name.

MindSpore is loaded with the class, so that names can be checked without it.
"""

from __future__ import annotations

import pkgutil
from typing import TYPE_CHECKING

from mindres.data import DATASETS
from mindres.errors import unknown

if TYPE_CHECKING:
    from mindres.data.dataset import ImageDataset


def create_dataset(name: str, path=None, split: str = "train", **options):
    """The data set called `name`, one of `mindres.data.DATASETS`.

    Args:
        name: a name in `DATASETS`, or one from a checkpoint of mindres 0.1.0.
        path: the folder of its files.
        split: "train", "val" or "test".
        options: the other arguments of `ImageDataset`, such as `batch_size` and `resize`.

    Raises:
        UserError: there is no such data set, an argument is out of range, or the files are missing
            or damaged.
    """
    return dataset_class(name)(path, split=split, **options)


def dataset_class(name: str) -> type[ImageDataset]:
    """The class of the data set called `name`; raises `UserError` if there is none."""
    return pkgutil.resolve_name(DATASETS[checked_name(name)])


def checked_name(name: str) -> str:
    """The name in `DATASETS` that `name` means.

    Checkpoints of mindres 0.1.0 have the name of the class in lower case.

    Raises:
        UserError: there is no such data set; the message suggests names.
    """
    if name in DATASETS:
        return name
    for row, address in DATASETS.items():
        if address.partition(":")[2].lower() == str(name).lower():
            return row
    raise unknown("data set", name, DATASETS)


def name_of(data) -> str:
    """The name of an `ImageDataset` in `DATASETS`, or else of its class in lower case."""
    return names_of(type(data))[0]


def names_of(kind: type) -> list[str]:
    """The names of a class in checkpoints; the one in `DATASETS` comes first."""
    rows = [row for row, address in DATASETS.items() if address.endswith(f":{kind.__name__}")]
    return [*rows, kind.__name__.lower()]
