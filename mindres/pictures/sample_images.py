"""A few images of a data set or of files, to feed to a network and to look at."""

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

    inputs: as a network is fed them, (N, C, H, W).
    shown: as one looks at them, (N, H, W, 3) in [0, 1].
    labels: the true classes, int (N,), or None where they are not known.
    classes: the names of all classes.
    """

    inputs: np.ndarray
    shown: np.ndarray
    labels: np.ndarray | None
    classes: list[str]

    @property
    def names(self) -> list[str] | None:
        """The names of the true classes, or None where they are not known."""
        return None if self.labels is None else [self.classes[label] for label in self.labels]


def labels_of(data) -> np.ndarray:
    """The labels of the images in the split of an `ImageDataset`, int (N,)."""
    indices = data.indices()
    return data.labels() if indices is None else data.labels()[indices]


def samples(data, count=24) -> Samples:
    """`count` images of the split of an `ImageDataset`, drawn as `mindres.set_seed` says."""
    some = copy.copy(data)
    some.shuffle = True
    some.batch_size = min(count, len(labels_of(data)))
    images, labels = next(some.run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    if labels.ndim == 2:
        labels = labels.argmax(axis=1)  # mixed by mixup or CutMix: the larger share
    shown = denormalize(images, data.mean, data.std)
    return Samples(images, shown, labels, list(data.classes))


def samples_from_files(paths, metadata: Mapping, classes) -> Samples:
    """Image files, prepared as the checkpoint with this `metadata` needs them.

    Files that cannot be read are left out and named in a warning.

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
