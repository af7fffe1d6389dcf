"""Reads a table of images, and recognises its columns by their values."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from mindres.data.folder_tree import SPLITS
from mindres.errors import UserError

LABEL_NAMES = ("label", "labels", "class", "class_name", "category", "target")
METADATA = ("metadata.csv", "metadata.jsonl")  # of a Hugging Face image folder
LOOKED_AT = 100  # rows that are used to recognise the columns


@dataclass
class Row:
    """One image of a table; `place` names the row for messages."""

    place: str
    path: Path
    label: str
    split: str | None
    group: str | None


def tables_in(path: Path) -> list[Path]:
    """The tables of `path`: itself, or the metadata files of a Hugging Face image folder."""
    if not path.is_dir():
        return [path]
    folders = [path, *(path / name for name in SPLITS)]
    return [folder / name for folder in folders for name in METADATA if (folder / name).is_file()]


def read_table(path: Path, image_column=None, label_column=None, group=None) -> list[Row]:
    """The images of a table; their paths are relative to its folder.

    Args:
        path: a .csv, .tsv, .jsonl or .parquet file with the names of its columns.
        image_column, label_column, group: names of columns. None for the column whose values are
            files, the one called label or the like, and the one called group. A column with only
            names of splits is the split.

    Raises:
        UserError: the file cannot be read, a column is missing or ambiguous, or a row has no label
            or names no file.
    """
    records = _records(path)
    columns = list(records[0][1])
    for name in (image_column, label_column, group):
        if name is not None and name not in columns:
            raise UserError(f"{path} has no column {name}: it has {', '.join(columns)}")
    image = image_column or _image_column(path, records, columns)
    split = next((name for name in columns if _is_split(name, records)), None)
    group = group or next((name for name in columns if name.lower() == "group"), None)
    label = label_column or _label_column(path, records, columns, {image, split, group})
    folder_split = SPLITS.get(path.parent.name) if path.name in METADATA else None
    return [
        Row(
            place=place,
            path=_file(path, place, record[image]),
            label=_filled(place, label, record[label]),
            split=SPLITS[record[split]] if split else folder_split,
            group=None if group is None else _filled(place, group, record[group]),
        )
        for place, record in records
    ]


def _records(path: Path) -> list[tuple[str, dict[str, str]]]:
    """The rows of a table: the name of each for messages, and its values by column."""
    try:
        found = READERS[path.suffix.lower()](path)
    except (OSError, ValueError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a table: {error}") from None
    if not found:
        raise UserError(f"{path} has no rows below the names of its columns")
    records = []
    for number, values in found:
        place = f"{path}, row {number}"
        if set(values) != set(found[0][1]) or None in values.values():
            raise UserError(f"{place} has other columns than the first row")
        records.append((place, {name: str(value).strip() for name, value in values.items()}))
    return records


def _delimited(path: Path) -> list[tuple[int, dict]]:
    with open(path, newline="", encoding="utf-8-sig") as file:
        first = file.readline()
        delimiter = max("\t,;", key=first.count)
        file.seek(0)
        reader = csv.DictReader(file, delimiter=delimiter)
        return [(reader.line_num, values) for values in reader]


def _json_lines(path: Path) -> list[tuple[int, dict]]:
    lines = path.read_text(encoding="utf-8").splitlines()
    found = [(number, json.loads(line)) for number, line in enumerate(lines, 1) if line.strip()]
    for number, values in found:
        if not isinstance(values, dict):
            raise ValueError(f"row {number} is not a JSON object")
    return found


def _parquet(path: Path) -> list[tuple[int, dict]]:
    try:
        from pyarrow import parquet
    except ImportError:
        raise UserError(
            f"{path} needs pyarrow to be read: pip install 'mindres[parquet]', or save it as CSV"
        ) from None
    return list(enumerate(parquet.read_table(path).to_pylist(), 1))


READERS: dict[str, Callable] = {
    ".csv": _delimited,
    ".tsv": _delimited,
    ".jsonl": _json_lines,
    ".parquet": _parquet,
}


def _image_column(path: Path, records, columns) -> str:
    """The column whose values are files."""
    some = [record for _, record in records[:LOOKED_AT]]
    named = {name: sum(_is_file(path, record[name]) for record in some) for name in columns}
    best = max(columns, key=lambda name: named[name])
    if not named[best]:
        raise UserError(
            f"no column of {path} names existing files ({records[0][0]} has "
            f"{records[0][1][columns[0]]!r}): paths are relative to {path.parent}; name the column "
            "with `image_column`"
        )
    return best


def _label_column(path: Path, records, columns, taken) -> str:
    """The column that is called label or the like, or the only one whose values repeat."""
    left = [name for name in columns if name not in taken]
    called = [name for name in left if name.lower() in LABEL_NAMES]
    counts = {name: len({record[name] for _, record in records}) for name in left}
    repeat = [name for name in left if 1 < counts[name] < len(records)]
    found = called[:1] or (repeat if len(repeat) == 1 else left if len(left) == 1 else [])
    if not found:
        raise UserError(
            f"it is not clear which column of {path} has the labels (candidates: "
            f"{', '.join(left) or 'none'}): name it with `label_column`"
        )
    return found[0]


def _is_split(name: str, records) -> bool:
    return all(record[name] in SPLITS for _, record in records)


def _is_file(table: Path, name: str) -> bool:
    return bool(name) and "\0" not in name and (table.parent / os.path.expanduser(name)).is_file()


def _file(table: Path, place: str, name: str) -> Path:
    if not _is_file(table, name):
        raise UserError(
            f"{place}: there is no file {name!r} in {table.parent}: correct the row, or remove it"
        )
    return table.parent / os.path.expanduser(name)


def _filled(place: str, column: str, value: str) -> str:
    if not value:
        raise UserError(f"{place} has nothing in the column {column}: fill it in, or remove it")
    return value
