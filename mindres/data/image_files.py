"""Finds image files by their names."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from mindres.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


def images_below(folder: Path) -> list[Path]:
    """The image files below `folder`, in order; dangling symbolic links are included."""
    return [folder / name for name in Walk().image_names(folder)]


class Walk:
    """Finds image files below folders.

    folders: the folders that were met, as they were before they were read.
    unreadable: those that could not be read, with the reasons.
    """

    def __init__(self):
        self.folders: dict[str, os.stat_result] = {}
        self.unreadable: dict[str, str] = {}

    def image_names(self, folder: Path | str, inner: str = "") -> Iterator[str]:
        """Yield the names of the image files below `folder`, relative to it, in `Path`'s order.

        Folders that cannot be read, and links to folders, are skipped.
        """
        path = os.path.join(folder, inner) if inner else os.fspath(folder)
        try:
            self.folders[path] = os.stat(path)
            with os.scandir(path) as found:
                entries = sorted(found, key=lambda entry: entry.name)
        except OSError as error:
            self.unreadable[path] = error.strerror or str(error)
            return
        for entry in entries:
            name = os.path.join(inner, entry.name)
            if entry.is_dir(follow_symlinks=False):
                yield from self.image_names(folder, name)
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
