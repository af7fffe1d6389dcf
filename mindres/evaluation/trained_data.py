"""Opens the data set that a checkpoint was trained on, and picks images from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from mindres.data import DATASETS
from mindres.data.as_trained import prepare_as_trained
from mindres.data.build import dataset_class, names_of
from mindres.data.dataset import ImageDataset
from mindres.data.pipeline import batches
from mindres.errors import UserError
from mindres.models import registry
from mindres.weights.metadata import Metadata

BATCH_SIZE = 64


def open_data(metadata: Mapping, dataset=None, path="./datasets", split="test", **options):
    """The data set that a checkpoint was trained on, or another one, with the training's options.

    Images are prepared, held out and left out as in the training; for checkpoints of mindres 0.1.0
    validation images are held out by its rule.

    Args:
        metadata: as `load_model` returns it.
        dataset: one of `mindres.data.DATASETS`; None for the one that the metadata names.
        path: the data set's folder.
        split: "test", "val" or "train".
        options: options of the data set, such as `batch_size`.

    Raises:
        UserError: the metadata names no data set, its files are missing or damaged, or it does not
            fit the network.
    """
    metadata = Metadata.of(metadata)
    name = dataset or metadata.dataset
    if name is None:
        raise UserError(
            "the checkpoint does not say which data set it was trained on: name one with `dataset` "
            f"({', '.join(DATASETS)})"
        )
    kind = dataset_class(name)
    data = kind(path, split=split, **{**_as_in_training(metadata, kind, path), **options})
    _check_channels(name, data, metadata)
    _align_classes(name, data, metadata)
    prepare_as_trained(data, metadata)
    return data


def _as_in_training(metadata: Metadata, kind: type[ImageDataset], path) -> dict:
    """The options of the data set in a checkpoint's training."""
    architecture = metadata.architecture or {}
    options: dict[str, Any] = {"batch_size": BATCH_SIZE, "skip_broken": bool(metadata.skip_broken)}
    if metadata.input_size:
        options["resize"] = metadata.input_size
    elif architecture:
        options["resize"] = registry.network(architecture["arch"]).input_shape[1:]
    channels = architecture.get("in_channels")
    if channels in kind.channel_choices:
        options["channels"] = channels
    if metadata.dataset in names_of(kind):
        options["split_rule"] = metadata.split_rule or "order"
        held_out = dict(metadata.held_out or {})
        if "test" not in kind.missing_splits(path, **held_out):
            held_out.pop("test_fraction", None)  # this folder has test images of its own
        options |= held_out
    return options


def _check_channels(name: str, data, metadata: Metadata) -> None:
    channels = len(data.mean)
    taken = (metadata.architecture or {}).get("in_channels", channels)
    if taken != channels:
        raise UserError(f"{name} has images of {channels} channels and the network takes {taken}")


def _align_classes(name: str, data, metadata: Metadata) -> None:
    """Number the classes of the images like the network, if it knows them all."""
    trained = metadata.classes or []
    if trained == list(data.classes):
        return
    if set(data.classes) <= set(trained):
        data.use_classes(trained)
    elif len(trained) == len(data.classes):
        other = next(own for own in data.classes if own not in trained)
        raise UserError(
            f"{name} has the class {other!r}, which the checkpoint was not trained on: name the "
            "data set that it was trained on"
        )


def part_of(data, places):
    """The images at these places among those of the split of an `ImageDataset`, as they are."""
    other, every = data.plain(), data.indices()
    chosen = places if every is None else np.asarray(every)[places]
    other.indices = lambda: chosen
    return other


def visit(data, positions):
    """Yield (position, normalised image (C, H, W)) for each of `positions`, in ascending order.

    `data` is an `ImageDataset` that is not shuffled.
    """
    wanted, start = np.unique(np.asarray(positions, np.int64)), 0
    for images, _ in batches(data).create_tuple_iterator(num_epochs=1, output_numpy=True):
        while len(wanted) and wanted[0] < start + len(images):
            yield int(wanted[0]), images[wanted[0] - start]
            wanted = wanted[1:]
        if not len(wanted):
            return
        start += len(images)


def pick(data, positions) -> np.ndarray:
    """The normalised images at `positions`, in that order, (N, C, H, W)."""
    found = dict(visit(data, positions))
    return np.stack([found[position] for position in positions])
