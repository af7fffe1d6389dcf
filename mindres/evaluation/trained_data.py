"""The dataset that a checkpoint was trained on, and some of its images."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from mindres.data import DATASETS
from mindres.data.build import dataset_class
from mindres.data.dataset import batches
from mindres.errors import UserError
from mindres.models import registry
from mindres.signals import listen
from mindres.weights.metadata import Metadata

BATCH_SIZE = 64


def open_data(metadata: Mapping, dataset=None, path="./datasets", split="test", **options):
    """The data set that a checkpoint was trained on, or another one, fed as in its training.

    Args:
        metadata: as `load_model` returns it.
        dataset: one of `mindres.data.DATASETS`; None for the one that the metadata names.
        path: the dataset's folder.
        split: "test", "val" or "train".
        options: of the dataset, such as `batch_size`.

    Raises:
        UserError: the metadata names no dataset, its files are missing or damaged, or it does not
            fit the network.
    """
    metadata = Metadata.of(metadata)
    name, architecture = dataset or metadata.dataset, metadata.architecture or {}
    if name is None:
        raise UserError(
            f"the checkpoint does not say which dataset it was trained on: name one with --dataset "
            f"({', '.join(DATASETS)})"
        )
    kind = dataset_class(name)
    options = {"batch_size": BATCH_SIZE, **options}
    if metadata.input_size:
        options.setdefault("resize", metadata.input_size)
    elif architecture:
        options.setdefault("resize", registry.network(architecture["arch"]).input_shape[1:])
    channels = architecture.get("in_channels")
    if channels in kind.channel_choices:
        options.setdefault("channels", channels)
    data = kind(path, split=split, **options)
    channels = len(data.mean)
    if architecture.get("in_channels", channels) != channels:
        raise UserError(
            f"{name} has images of {channels} channels and the network takes "
            f"{architecture['in_channels']}"
        )
    trained = metadata.classes or []
    if set(trained) != set(data.classes) and len(trained) == len(data.classes):
        other = next(own for own in data.classes if own not in trained)
        raise UserError(
            f"{name} has the class {other!r}, which the checkpoint was not trained on: name the "
            "dataset that it was trained on"
        )
    for statistic in ("mean", "std"):
        noted = getattr(metadata, statistic) or ()
        if len(noted) == channels:
            setattr(data, statistic, tuple(noted))
    if metadata.fit == "crop" and metadata.crop_fraction:
        data.crop_fraction = metadata.crop_fraction
    return data


def visit(data, positions):
    """Yield (position, normalised image (C, H, W)) for these positions, each once.

    They come in the order of `data`, an `ImageDataset` that is not shuffled.
    """
    wanted, start = np.unique(np.asarray(positions, np.int64)), 0
    for images, _ in batches(data).create_tuple_iterator(num_epochs=1, output_numpy=True):
        listen()
        while len(wanted) and wanted[0] < start + len(images):
            yield int(wanted[0]), images[wanted[0] - start]
            wanted = wanted[1:]
        if not len(wanted):
            return
        start += len(images)


def pick(data, positions) -> np.ndarray:
    """The images at these positions, as `visit` finds them: (N, C, H, W)."""
    found = dict(visit(data, positions))
    return np.stack([found[position] for position in positions])
