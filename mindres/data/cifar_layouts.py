"""Finds CIFAR's published layouts in a folder, and unpacks their archives."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from mindres import checksums, files
from mindres.data import archives
from mindres.errors import UserError


class Layout(NamedTuple):
    """A published archive and its contents."""

    folder: str  # the folder in the archive
    archive: str
    md5: str
    meta: str  # the file of class names
    train: tuple[str, ...]  # files of images
    test: tuple[str, ...]
    limits: archives.Limits = archives.LIMITS

    @property
    def binary(self) -> bool:
        """Whether its files are binary records rather than pickles."""
        return self.meta.endswith(".txt")

    @property
    def names(self) -> list[str]:
        """All the files that are needed."""
        return [self.meta, *self.train, *self.test]


def candidates(root: Path, layouts: tuple[Layout, ...]) -> list[tuple[Path, Layout]]:
    """The folders in or at `root` of a layout or its archive, in the order of the layouts."""
    roots = [root]
    if root.is_dir():
        roots += sorted(path for path in root.iterdir() if path.is_dir())
    found = []
    for layout in layouts:
        for parent in roots:
            folder = parent if parent.name == layout.folder else parent / layout.folder
            if folder.is_dir() or (folder.parent / layout.archive).is_file():
                found.append((folder, layout))
    return found


def find_layout(root: Path, layouts: tuple[Layout, ...], name: str) -> tuple[Path, Layout]:
    """Find a complete layout in `root`, or unpack its archive; returns its folder and the layout.

    Raises:
        UserError: there is none, an archive is damaged, or files are missing; the message calls the
            data set `name`.
    """
    found = candidates(root, layouts)
    if not found:
        expected = " or ".join(layout.folder for layout in layouts)
        raise UserError(
            f"{root} holds no {name}: expected {expected} in it; correct `path`, or add `download`"
        )
    problem = None
    for folder, layout in found:
        lacking = [wanted for wanted in layout.names if not (folder / wanted).is_file()]
        archive = folder.parent / layout.archive
        if lacking and archive.is_file():
            checksums.verify(archive, md5=layout.md5)
            archives.extract(archive, files.make_folder(folder), set(layout.names), layout.limits)
            lacking = []
        if not lacking:
            return folder, layout
        problem = problem or (
            f"{folder} lacks {lacking[0]}: copy it there, or delete the folder and add `download`"
        )
    raise UserError(problem)
