"""Finds the classes and the images in a tree of class folders."""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from mindres.data.image_files import IMAGE_SUFFIXES, image_names_below
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
    classes, left_out = _classes(names)
    for folder in folders:
        _refuse_unknown_classes(folder, names, classes)
    images = LabelledImages(root, _labelled_names(root, folders, classes))
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


def _labelled_names(root: Path, folders: list[Path], classes) -> Iterator[tuple[str, int]]:
    """Yield the name of each image, relative to `root`, and its label, class by class."""
    for label, name in enumerate(classes):
        for folder in folders:
            inner = os.path.relpath(folder / name, root)
            for image in image_names_below(folder / name):
                yield os.path.join(inner, image), label


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


def _classes(folder: Path) -> tuple[list[str], list[str]]:
    """The names of the class folders, and a sentence for each folder that is not one."""
    names, left_out = [], []
    for child in _folders(folder):
        reason = _why_no_class(child)
        if reason is None:
            names.append(child.name)
        else:
            left_out.append(f"{child} is not a class: {reason}")
    if len(names) < 2:
        others = "".join(f"; {sentence}" for sentence in left_out[:3])
        raise UserError(
            f"{folder} holds {_folders_in_words(len(names))} with images, and at least two are "
            f"needed: expected train/<class>/*.jpg or <class>/*.jpg{others}"
        )
    return names, left_out


def _why_no_class(folder: Path) -> str | None:
    """Why a folder is not that of a class; None if it is."""
    try:
        os.listdir(folder)
    except OSError as error:
        return f"it cannot be read ({error.strerror})"
    if any((folder / name).exists() for name in RUN_FILES):
        return "it is the folder of a training run"
    if next(image_names_below(folder), None) is None:
        return "it holds no images"
    return None


def _folders(folder: Path) -> list[Path]:
    return sorted(p for p in folder.iterdir() if p.is_dir() and not p.name.startswith("."))


def _refuse_unknown_classes(folder: Path, names: Path, classes: list[str]) -> None:
    """Raise `UserError` if `folder` has a class that the folder `names` lacks."""
    if folder == names:
        return
    for child in _folders(folder):
        if child.name not in classes and _why_no_class(child) is None:
            raise UserError(f"{folder} has the class {child.name!r}, which {names} does not have")
