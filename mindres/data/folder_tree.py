"""Finds the classes and the images in a tree of class folders."""

from __future__ import annotations

import os
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindres.data.class_folders import ClassFolders, class_folders
from mindres.data.image_files import IMAGE_SUFFIXES
from mindres.data.labelled_images import LabelledImages
from mindres.errors import UserError

# The folder of a split beside `train`: the first of these that exists.
SPLIT_FOLDERS = {
    "train": ("train",),
    "val": ("val", "validation", "valid", "test"),
    "test": ("test", "val", "validation", "valid"),
}
# The split of each folder name.
SPLITS = {"train": "train", "test": "test", "val": "val", "validation": "val", "valid": "val"}
# A folder with one of these files is the folder of a run, not of a class.
RUN_FILES = ("best.ckpt", "last.ckpt", "history.csv")


@dataclass
class Tree:
    """Image files and their labels; the classes are those of the training images."""

    root: Path  # the folder of the class folders, which file names are relative to
    split: str  # the split of the images
    classes: tuple[str, ...]
    images: LabelledImages
    left_out: list[str]  # a sentence for each folder that is not a class


def missing_splits(path: Path) -> tuple[str, ...]:
    """Which of "val" and "test" have no folder below `path`."""
    given = {SPLITS[name] for name in SPLITS if (path / name).is_dir()}
    return tuple(name for name in ("val", "test") if "train" not in given or name not in given)


def find_tree(path: Path, split: str, held_out: Collection[str] = ()) -> Tree:
    """The images of a split below `path`.

    Args:
        path: a folder with `train/<class>/` and a folder of another split, or with `<class>/`.
        split: "train", "val", "test", or "all" for every image. If it has no folder, that of the
            other one is used, and the tree's `split` says so. In a single tree, all images that are
            not trained on are "val".
        held_out: which of "val" and "test" are part of the training images.

    Raises:
        UserError: there are fewer than two classes, or `train` is the only split.
    """
    folders, split = _folders_of_split(path, split, held_out)
    root = folders[0] if len(folders) == 1 else path
    names = path / "train" if (path / "train").is_dir() else path
    listed = {folder: class_folders(folder) for folder in {names, *folders}}
    classes, left_out = _classes(listed[names])
    for folder in folders:
        if folder != names:
            _refuse_unknown_classes(listed[folder], names, classes)
    images = _labelled(root, [listed[folder] for folder in folders], classes)
    counts = np.bincount(images.labels, minlength=len(classes))
    left_out += [
        f"{root} has no images of the class {name}"
        for name, count in zip(classes, counts)
        if not count
    ]
    if not images:
        raise UserError(
            f"{root} holds no images ({', '.join(IMAGE_SUFFIXES)}) in its class folders"
        )
    readable = tuple(os.fsencode(name).decode("utf-8", "surrogateescape") for name in classes)
    return Tree(root, split, readable, images, left_out)


def _labelled(root: Path, folders: list[ClassFolders], classes) -> LabelledImages:
    """The images in `folders`, class by class."""
    names = [_from_root(root, each, name) for name in classes for each in folders]
    labels = [label for label in range(len(classes)) for _ in folders]
    counts = [each.count(b"\0") for each in names]
    return LabelledImages(root, b"".join(names), np.repeat(labels, counts))


def _from_root(root: Path, listed: ClassFolders, name: str) -> bytes:
    """The names of the images of a class, relative to `root`, each followed by a zero byte."""
    names = listed.images.get(name, b"")
    if listed.folder == root or not names:
        return names
    prefix = os.fsencode(os.path.relpath(listed.folder, root)) + os.fsencode(os.sep)
    return prefix + names[:-1].replace(b"\0", b"\0" + prefix) + b"\0"


def _folders_of_split(path: Path, split: str, held_out) -> tuple[list[Path], str]:
    """The folders with the class folders of a split, and the split of the images in them."""
    if not (path / "train").is_dir():
        return [path], split if split in ("train", "all", *held_out) else "val"
    if split == "all":
        return [path / name for name in SPLITS if (path / name).is_dir()], split
    if split in held_out:
        return [path / "train"], split
    folder = _split_folder(path, split)
    return [folder], SPLITS[folder.name]


def _split_folder(path: Path, split: str) -> Path:
    for name in SPLIT_FOLDERS[split]:
        if (path / name).is_dir():
            return path / name
    raise UserError(f"{path} has train/ but neither val/ nor test/: add one of them")


def _folders_in_words(count: int) -> str:
    return "one class folder" if count == 1 else "no class folders"


def _classes(listed: ClassFolders) -> tuple[list[str], list[str]]:
    """The names of the class folders, and a sentence for each folder that is not one."""
    folder = listed.folder
    names, left_out = [], []
    for child in listed.images:
        reason = _why_no_class(listed, child)
        if reason is None:
            names.append(child)
        else:
            left_out.append(f"{folder / child} is not a class: {reason}")
    if len(names) < 2:
        others = "".join(f"; {sentence}" for sentence in left_out[:3])
        raise UserError(
            f"{folder} holds {_folders_in_words(len(names))} with images, and at least two are "
            f"needed: expected train/<class>/*.jpg or <class>/*.jpg{others}"
        )
    return names, left_out


def _why_no_class(listed: ClassFolders, name: str) -> str | None:
    """Why a folder is not that of a class; None if it is."""
    if name in listed.unreadable:
        return f"it cannot be read ({listed.unreadable[name]})"
    if any((listed.folder / name / file).exists() for file in RUN_FILES):
        return "it is the folder of a training run"
    if not listed.images[name]:
        return "it holds no images"
    return None


def _refuse_unknown_classes(listed: ClassFolders, names: Path, classes: list[str]) -> None:
    """Raise `UserError` if a folder has a class that the folder `names` lacks."""
    for child in listed.images:
        if child not in classes and _why_no_class(listed, child) is None:
            raise UserError(f"{listed.folder} has the class {child!r}, which {names} does not have")
