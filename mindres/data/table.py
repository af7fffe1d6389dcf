"""The user's own images: a table of paths and labels."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from mindres.data.folder import ImageFolder
from mindres.data.folder_check import leave_broken_out
from mindres.data.groups import check_fractions
from mindres.data.labelled_images import LabelledImages
from mindres.data.table_rows import METADATA, READERS, Row, read_table, tables_in
from mindres.errors import UserError

STANDS_IN = {"val": "test", "test": "val"}


class ImageTable(ImageFolder):
    """The user's own images in a table: a row for each image, with its path and its label.

    `path` is a .csv, .tsv, .jsonl or .parquet file, or a Hugging Face image folder with
    `metadata.csv` or `metadata.jsonl` in it or in its `train/` and `test/`. A column may name the
    split of each row. Everything else is as in `ImageFolder`.

    Args:
        group: the column of the groups that stay in one split; None for the one called group.
        image_column, label_column: see `table_rows.read_table`.
        others: arguments of `ImageFolder`.
    """

    further_options = ("test_fraction", "group", "image_column", "label_column")

    def __init__(self, *arguments, image_column=None, label_column=None, **others):
        self.image_column = image_column
        self.label_column = label_column
        super().__init__(*arguments, **others)

    @classmethod
    def missing_splits(cls, path, **options):
        columns = {name: options.get(name) for name in ("image_column", "label_column", "group")}
        given = {row.split for row in _rows(Path(os.path.expanduser(path)), **columns)}
        return tuple(name for name in ("val", "test") if "train" not in given or name not in given)

    def prepare(self):
        check_fractions(self.validation_fraction, self.test_fraction)
        if self.path is None:
            raise UserError("a table needs its file (`path`)")
        rows = _rows(self.path, self.image_column, self.label_column, self.group)
        self.root = tables_in(self.path)[0].parent
        self.classes = _class_names(rows)
        given = {row.split for row in rows}
        if given == {None}:
            self.validation_fraction = self.validation_fraction or 0.2
            self._divide(rows, {"val", *self.fractions()})
        elif self.split == "all":
            self.divided = False
        elif self.split == "train" or self.split in self.fractions():
            rows = [row for row in rows if row.split == "train"]
            self.divided = bool(self.fractions())
        else:
            self.split = self.split if self.split in given else STANDS_IN[self.split]
            rows = [row for row in rows if row.split == self.split]
            self.divided = False
        if not rows:
            raise UserError(f"{self.path} has no rows of the split {self.split}")
        numbers = {name: number for number, name in enumerate(self.classes)}
        paths = (os.path.relpath(row.path, self.root) for row in rows)
        names = b"".join(os.fsencode(path) + b"\0" for path in paths)
        kept = os.path.join(self.path.name, "all" if given == {None} else self.split)
        labels = np.array([numbers[row.label] for row in rows])
        self.images = LabelledImages(self.root, names, labels, kept)
        self.groups = dict(zip(self.images.names(), (row.group for row in rows)))
        leave_broken_out(self.images, self.skip_broken)

    def _divide(self, rows: list[Row], held_out: set[str]) -> None:
        """Divide the rows, which are all training images, into splits."""
        self.divided = self.split != "all"
        if self.split not in ("train", "all", *held_out):
            self.split = "val"

    def keys(self):
        groups = self.groups
        return [
            name if groups[name] is None else b"group/" + os.fsencode(groups[name])
            for name in self.images.names()
        ]


def is_table(path: Path) -> bool:
    """Whether `path` is a table of images, or a folder with one."""
    if path.is_dir():
        return bool(tables_in(path))
    return path.suffix.lower() in READERS


def _rows(path: Path, image_column=None, label_column=None, group=None) -> list[Row]:
    tables = tables_in(path)
    if not tables:
        raise UserError(f"{path} holds neither {' nor '.join(METADATA)}: name a table of images")
    if path.suffix.lower() not in READERS and not path.is_dir():
        raise UserError(f"{path} is not a table: name a file that ends in {', '.join(READERS)}")
    rows = [row for table in tables for row in read_table(table, image_column, label_column, group)]
    seen: dict[Path, Row] = {}
    for row in rows:
        first = seen.setdefault(row.path, row)
        if first is not row:
            raise UserError(f"{row.place} names the image of {first.place} again: remove one")
    some_have = {row.split is None for row in rows}
    if len(some_have) > 1:
        raise UserError(f"only some of the tables in {path} belong to a split")
    return rows


def _class_names(rows: list[Row]) -> tuple[str, ...]:
    """The names of the classes in order: of numbers, where all are whole numbers."""
    names = {row.label for row in rows}
    if len(names) < 2:
        raise UserError(
            f"{rows[0].place.rpartition(',')[0]} has one label, {rows[0].label!r}, and at least "
            "two are needed"
        )
    whole = all(name.isdecimal() for name in names)
    return tuple(sorted(names, key=int) if whole else sorted(names))
