"""Leaves the images of a table such as check.csv of `mindres check` out of training."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindres.data.table_rows import READERS
from mindres.errors import UserError


def listed_files(table) -> set[str]:
    """The absolute paths in the column `path` of a CSV file.

    Raises:
        UserError: the file cannot be read, or has no such column.
    """
    return {path for _, path, _ in listed_rows(table)}


def listed_rows(table, *columns: str) -> Iterator[tuple[str, str, dict]]:
    """The rows of a CSV file: what each is called in messages, its absolute path, its values.

    Raises:
        UserError: the file cannot be read, or has no column `path` or none of the `columns`.
    """
    path = Path(os.path.expanduser(table))
    try:
        rows = READERS[".csv"](path)
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table: {error}") from None
    for name in ("path", *columns):
        if rows and name not in rows[0][1]:
            raise UserError(
                f"{path} has no column {name}: name the check.csv that mindres check wrote"
            )
    for number, values in rows:
        yield f"{path}, row {number}", os.path.abspath(values["path"]), values


def without_listed(data, chosen: NDArray, listed: set[str]) -> NDArray:
    """Those of the indices `chosen` whose files are not in `listed`.

    Raises:
        UserError: no image of a class is left.
    """
    paths = data.files()
    kept = np.array([os.path.abspath(paths[i]) not in listed for i in chosen], bool)
    labels = data.labels()
    gone = set(labels[chosen].tolist()) - set(labels[chosen[kept]].tolist())
    if gone:
        name = data.classes[min(gone)]
        raise UserError(
            f"{data.without} leaves out every training image of the class {name!r}: remove some of "
            "its rows"
        )
    return chosen[kept]
