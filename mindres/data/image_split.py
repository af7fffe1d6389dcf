"""The images of a split among those in the files of a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod

import numpy as np

from mindres.data import sampling, splits


class ImageSplit(ABC):
    """The images of a split, by their indices in the files; a base of `ImageDataset`."""

    split: str
    split_rule = "order"
    validation_fraction: float
    validation_seed: int

    def __len__(self) -> int:
        """The number of images of the split, in all shards together."""
        indices = self.indices()
        return len(self.labels()) if indices is None else len(indices)

    @abstractmethod
    def labels(self) -> np.ndarray:
        """The labels of all images in the files; "val" has the files of "train"."""

    def train_and_val(self) -> tuple[np.ndarray, np.ndarray]:
        """The indices of the training images and of the held-out images."""
        return splits.split_by_order(self.labels(), self.validation_fraction, self.validation_seed)

    def indices(self) -> np.ndarray | None:
        """The indices of the split's images in the files; None for all."""
        return sampling.split_indices(self)

    def split_labels(self) -> np.ndarray:
        """The labels of the split's images, in the files' order."""
        indices = self.indices()
        return self.labels() if indices is None else self.labels()[indices]

    def image_names(self) -> list[str] | None:
        """The file of each image of the split; None if images have no files of their own."""
        return None
