"""Reads MNIST's idx files: a header of big-endian numbers, then a byte per pixel or label."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np

from mindres import files
from mindres.data import archives
from mindres.errors import UserError

IMAGES_MAGIC = 2051
LABELS_MAGIC = 2049
SIDE = 28  # pixels


def find_idx(folders: list[Path], name: str) -> Path | None:
    """The file `name` or its .gz in the first of the folders that has it, or None."""
    for folder in folders:
        for path in (folder / name, folder / f"{name}.gz"):
            if path.is_file():
                return path
    return None


def unpack_together(paths: list[Path]) -> list[Path]:
    """The paths of these files in one folder, unpacked to the user's cache if necessary.

    MindSpore reads images and labels from the same folder.
    """
    if all(path.suffix != ".gz" and path.parent == paths[0].parent for path in paths):
        return paths
    stats = [(str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths]
    key = hashlib.sha256(repr(stats).encode()).hexdigest()[:16]
    folder = files.cache_dir() / "datasets" / key
    targets = [folder / path.name.removesuffix(".gz") for path in paths]
    for path, target in zip(paths, targets):
        if not target.exists():
            _unpack(path, target)
    return targets


def _unpack(path: Path, target: Path) -> None:
    opener = gzip.open if path.suffix == ".gz" else open
    with files.atomic_write(target) as part, open(part, "wb") as out, opener(path, "rb") as packed:
        try:
            archives.copy(packed, out)
        except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
            raise UserError(f"{path} is damaged: {error}; download the data set again") from None


def check_idx(images: Path, labels: Path, num_classes: int) -> np.ndarray:
    """The labels, uint8 (N,), after checking both files.

    Raises:
        UserError: a file is damaged, or the files do not fit together.
    """
    image_count = _count(images, IMAGES_MAGIC, header=16, item=SIDE * SIDE)
    label_count = _count(labels, LABELS_MAGIC, header=8, item=1)
    found = np.fromfile(labels, np.uint8, offset=8)
    if image_count != label_count or found.max() >= num_classes:
        raise UserError(f"{labels} does not fit {images}: download the data set again")
    return found


def _count(path: Path, magic: int, header: int, item: int) -> int:
    """The number of items of `item` bytes after the header.

    Raises:
        UserError: the magic number or the size of the file is wrong.
    """
    with open(path, "rb") as file:
        head = file.read(header)
    found_magic, count = struct.unpack(">II", head[:8]) if len(head) == header else (0, 0)
    if found_magic != magic or not count or path.stat().st_size != header + count * item:
        raise UserError(
            f"{path} is damaged or not an idx file of MNIST: download the data set again"
        )
    return count
