"""A few images of a data set or of files, for a network and for display."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mindres.data.as_trained import preprocess
from mindres.data.images import read_image
from mindres.errors import UserError
from mindres.pictures.drawing import denormalize
from mindres.weights.metadata import Metadata


@dataclass
class Samples:
    """A few images.

    inputs: the network's inputs, (N, C, H, W), normalised.
    shown: the images for display, (N, H, W, 3) in [0, 1].
    labels: the true classes, int (N,), or None if they are not known.
    classes: the names of all classes.
    """

    inputs: np.ndarray
    shown: np.ndarray
    labels: np.ndarray | None
    classes: list[str]

    @property
    def names(self) -> list[str] | None:
        """The names of the true classes, or None if they are not known."""
        return None if self.labels is None else [self.classes[label] for label in self.labels]


def labels_of(data) -> np.ndarray:
    """The labels of the images in the split of an `ImageDataset`, int (N,)."""
    return data.split_labels()


def samples(data, count=24) -> Samples:
    """`count` random images of the split of an `ImageDataset`; `mindres.set_seed` sets the seed."""
    some = copy.copy(data)
    some.shuffle = True
    some.batch_size = min(count, len(labels_of(data)))
    images, labels = next(some.run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    if labels.ndim == 2:
        labels = labels.argmax(axis=1)  # of images mixed by mixup or CutMix, the larger part
    shown = denormalize(images, data.mean, data.std)
    return Samples(images, shown, labels, list(data.classes))


def samples_from_files(paths, metadata: Mapping, classes) -> Samples:
    """Image files, prepared for the network of a checkpoint.

    Files that cannot be read are left out with a warning.

    Raises:
        UserError: none of the files can be read.
    """
    metadata = Metadata.of(metadata)
    inputs = []
    for path in paths:
        try:
            inputs.append(preprocess(read_image(path), metadata))
        except UserError as error:
            print(f"mindres: warning: left out: {error}", file=sys.stderr)
    if not inputs:
        raise UserError(f"none of the {len(paths)} images can be read")
    stacked = np.stack(inputs)
    return Samples(stacked, denormalize(stacked, metadata.mean, metadata.std), None, classes)
