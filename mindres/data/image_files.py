"""Finds image files by their names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mindres.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


def images_below(folder: Path) -> list[Path]:
    """The image files below `folder`, in order; dangling symbolic links are included."""
    return [folder / name for name in image_names_below(folder)]


def image_names_below(folder: Path | str, inner: str = "") -> Iterator[str]:
    """Yield the names of the image files below `folder`, relative to it, in the order of `Path`.

    Folders that cannot be read, and links to folders, are skipped.
    """
    try:
        with os.scandir(os.path.join(folder, inner)) as found:
            entries = sorted(found, key=lambda entry: entry.name)
    except OSError:
        return
    for entry in entries:
        name = os.path.join(inner, entry.name)
        if entry.is_dir(follow_symlinks=False):
            yield from image_names_below(folder, name)
        elif _is_image_name(entry.name) and not entry.is_dir():
            yield name


def _is_image_name(name: str) -> bool:
    stem, dot, suffix = name.rpartition(".")
    return bool(stem) and (dot + suffix).lower() in IMAGE_SUFFIXES


def image_files(folder) -> list[Path]:
    """The image files below `folder`, in order; raises `UserError` if there are none."""
    folder = Path(os.path.expanduser(folder))
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    found = images_below(folder)
    if not found:
        raise UserError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return found
