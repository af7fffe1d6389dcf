"""Reads CIFAR's images, labels and class names, from binary records and from pickles."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np

from mindres import files
from mindres.data.pickles import read_pickle
from mindres.errors import UserError

IMAGE_BYTES = 3072  # 3 x 32 x 32


class Format(NamedTuple):
    """The fields of a CIFAR data set's files."""

    name: str  # of the data set, for messages
    num_classes: int
    label_fields: tuple[str, ...]  # of a pickle, in the order of a binary record's bytes
    names_field: str  # the class names in the pickle of class names

    @property
    def record_bytes(self) -> int:
        return len(self.label_fields) + IMAGE_BYTES


def class_names(path: Path, binary: bool, kind: Format) -> list[str]:
    """The class names in a text file (`binary`) or a pickle.

    Raises:
        UserError: the file cannot be read, or has other fields or another number of names.
    """
    try:
        if binary:
            names = path.read_text(encoding="utf-8").split()
        else:
            names = _field(read_pickle(path), kind.names_field, path, kind)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the class names in {path}: {error}") from None
    sound = (
        isinstance(names, list)
        and len(names) == kind.num_classes
        and all(isinstance(name, (str, bytes)) for name in names)
    )
    if not sound:
        raise UserError(f"{path} does not name {kind.num_classes} classes: it is not {kind.name}'s")
    return [n.decode("utf-8", "replace") if isinstance(n, bytes) else n for n in names]


def binary_labels(path: Path, kind: Format) -> np.ndarray:
    """The labels of a binary file, uint8 (N,).

    Raises:
        UserError: the file has a wrong length or wrong labels, or cannot be read.
    """
    record = kind.record_bytes
    try:
        size = path.stat().st_size
        if not size or size % record:
            raise UserError(
                f"{path} is truncated: {size:,} bytes are not a whole number of "
                f"{record:,}-byte images; download the data set again"
            )
        # The last of several labels is the class.
        records = np.memmap(path, np.uint8, "r").reshape(-1, record)
        labels = np.array(records[:, len(kind.label_fields) - 1])
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if labels.max() >= kind.num_classes:
        raise UserError(
            f"{path} is damaged: it has the label {labels.max()} where {kind.num_classes - 1} is "
            "the highest; download the data set again"
        )
    return labels


def binary_images(paths: list[Path], kind: Format) -> np.ndarray:
    """The images of binary files: uint8 (N, 32, 32, 3)."""
    records = np.concatenate([np.fromfile(path, np.uint8) for path in paths])
    images = records.reshape(-1, kind.record_bytes)[:, len(kind.label_fields) :]
    return images.reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)


def to_binary(folder: Path, names, binaries, kind: Format) -> Path:
    """Convert the pickles `names` to the files `binaries` in the cache; returns their folder."""
    stats = [(folder / name).stat() for name in names]
    key = repr((str(folder.resolve()), [(s.st_size, s.st_mtime_ns) for s in stats]))
    target = files.cache_dir() / "datasets" / hashlib.sha256(key.encode()).hexdigest()[:16]
    for name, binary in zip(names, binaries):
        if not (target / binary).exists():
            images, labels = read_batch(folder / name, kind)
            with files.atomic_write(target / binary) as part:
                np.concatenate([labels, images], axis=1).tofile(part)
    return target


def read_batch(path: Path, kind: Format) -> tuple[np.ndarray, np.ndarray]:
    """uint8 images (N, 3072) and uint8 labels (N, label fields) of one published pickle."""
    content = read_pickle(path)
    images = _field(content, "data", path, kind)
    columns = [_field(content, name, path, kind) for name in kind.label_fields]
    labels = _stacked(columns)
    sound = (
        isinstance(images, np.ndarray)
        and labels is not None
        and images.dtype == np.uint8
        and images.ndim == 2
        and images.shape[1] == IMAGE_BYTES
        and labels.ndim == 2
        and len(labels) == len(images) > 0
        and labels.min() >= 0
        and labels.max() < kind.num_classes
    )
    if labels is None or not sound:
        raise UserError(
            f"{path} is damaged: expected uint8 images of {IMAGE_BYTES} values with a label from 0 "
            f"to {kind.num_classes - 1} each; download the data set again"
        )
    return images, labels.astype(np.uint8)


def _stacked(columns) -> np.ndarray | None:
    """Columns of labels as int64 (N, columns); None unless they are whole numbers."""
    # Converting anything else is unsafe: nested lists that share elements could fill the memory.
    if not all(map(_is_whole_numbers, columns)):
        return None
    try:
        return np.stack([np.asarray(column, np.int64) for column in columns], axis=1)
    except (TypeError, ValueError, OverflowError):
        return None


def _is_whole_numbers(column) -> bool:
    if isinstance(column, np.ndarray):
        return column.dtype.kind in "iu"
    return isinstance(column, list) and all(isinstance(value, int) for value in column)


def _field(content, name: str, path: Path, kind: Format):
    for key in (name, name.encode()):
        if isinstance(content, dict) and key in content:
            return content[key]
    raise UserError(f"{path} has no field {name!r}: it is not one of {kind.name}'s files")
