"""The images of all splits of a data set, one split after the other."""

from __future__ import annotations

import os
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindres.data.as_trained import prepare_as_trained
from mindres.data.build import create_dataset, dataset_class
from mindres.data.dataset import ImageDataset
from mindres.data.image_files import images_below
from mindres.data.images import read_image
from mindres.data.sampling import sampler
from mindres.data.table_rows import read_table, tables_in
from mindres.errors import UserError
from mindres.weights.metadata import Metadata

AHEAD = 64  # images that are read in advance


@dataclass
class CheckedImages:
    """The images of all splits; names, splits and labels have one entry per image.

    names: paths, or in a built-in data set the split and the number, such as test/17.
    parts: the data set of each split, in order.
    unreadable: the files that were left out, with reasons.
    """

    names: list[str]
    splits: list[str]
    labels: NDArray
    classes: tuple[str, ...]
    parts: list[ImageDataset]
    unreadable: dict[str, str]

    def __len__(self) -> int:
        return len(self.names)

    def pixels(self) -> Iterator[NDArray]:
        """Yield every image in order, uint8 (H, W, C), without preprocessing."""
        for part in self.parts:
            paths = part.image_names()
            yield from _from_source(part) if paths is None else _from_files(paths)

    def image(self, position: int) -> NDArray:
        """The pixels of one image, uint8 (H, W, C)."""
        return self.some([position])[position]

    def some(self, positions) -> dict[int, NDArray]:
        """The pixels of the images at `positions`, by position."""
        if self.parts[0].image_names() is not None:
            return {i: read_image(self.names[i]) for i in positions}
        wanted = set(positions)
        return {i: image for i, image in enumerate(self.pixels()) if i in wanted}


def open_checked(
    name: str, path, held_out: float, metadata: Metadata | None = None, **options
) -> CheckedImages:
    """Open the images of a data set, divided into splits as for training.

    Args:
        name: one of `mindres.data.DATASETS`.
        path: its folder or file.
        held_out: the fraction of the training images for each of the splits "val" and "test" that
            the data lacks.
        metadata: of the network that is to see the images, which are normalised and cropped as in
            its training; None for the data set's own way.
        options: options of `create_dataset`, such as `resize`.

    Raises:
        UserError: the data set is missing, or has too few readable images to be divided.
    """
    kind = dataset_class(name)
    own = "test_fraction" in kind.further_options
    options["validation_fraction"] = held_out if "val" in kind.missing_splits(path) else 0.0
    if own:
        options["test_fraction"] = held_out if "test" in kind.missing_splits(path) else 0.0
        options["skip_broken"] = True
    splits = ["train", *(["val"] if own or held_out else []), "test"]
    parts = [create_dataset(name, path, split, **options).plain() for split in splits]
    names: list[str] = []
    of_split: list[str] = []
    for split, part in zip(splits, parts):
        found = part.image_names() or [f"{split}/{i}" for i in range(len(part))]
        names += found
        of_split += [split] * len(found)
        if metadata:
            prepare_as_trained(part, metadata)
    return CheckedImages(
        names=names,
        splits=of_split,
        labels=np.concatenate([part.split_labels() for part in parts]),
        classes=tuple(parts[0].classes),
        parts=parts,
        unreadable=_unreadable(name, Path(os.path.expanduser(path)), set(names)) if own else {},
    )


def _unreadable(name: str, path: Path, sound: set[str]) -> dict[str, str]:
    """The files that are in no split because they cannot be read, with reasons."""
    if name == "table":
        listed = [row.path for table in tables_in(path) for row in read_table(table)]
    else:
        listed = images_below(path)
    left = [file for file in listed if str(file) not in sound]
    reasons: dict[str, str] = {}
    for file in left:
        try:
            read_image(file)
        except UserError as error:
            reasons[str(file)] = str(error).partition("as an image: ")[2] or str(error)
    return reasons


def _from_files(paths: list[str]) -> Iterator[NDArray]:
    """Yield the images in order; several threads read a few of them in advance."""
    with ThreadPoolExecutor() as pool:
        for start in range(0, len(paths), AHEAD):
            yield from pool.map(read_image, paths[start : start + AHEAD])


def _from_source(part) -> Iterator[NDArray]:
    rows = part.source(sampler(part))
    for image, _ in rows.create_tuple_iterator(num_epochs=1, output_numpy=True):
        yield image
