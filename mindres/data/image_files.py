"""Finds image files by their names."""

from __future__ import annotations

import os
from pathlib import Path

from mindres.errors import UserError

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


def images_below(folder: Path) -> list[Path]:
    """The image files below `folder`, in order; a symbolic link that leads nowhere is one, too.

    It is broken, and whoever reads it says so.
    """
    return sorted(
        path
        for path in folder.rglob("*")
        if path.suffix.lower() in IMAGE_SUFFIXES and not path.is_dir()
    )


def image_files(folder) -> list[Path]:
    """The image files below `folder`, in order; `UserError` when there are none."""
    folder = Path(os.path.expanduser(folder))
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    found = images_below(folder)
    if not found:
        raise UserError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return found
