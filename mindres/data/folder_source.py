"""The MindSpore datasets of a folder's images: whole images, or random crops for training.

Order and augmentation follow from MindSpore's seed, whatever the number of threads: one thread
draws all random numbers, and those that read and prepare images draw none.
"""

from __future__ import annotations

import cv2
import numpy as np
from mindspore import dataset as ds

from mindres.data.batch_augment import normalized
from mindres.data.image_cache import copies_of
from mindres.data.image_copies import ImageCopies
from mindres.data.labelled_images import LabelledImages
from mindres.data.photo import Photo
from mindres.data.random_crop import NUMBERS, random_crop


def folder_source(
    labelled: LabelledImages, sampler, workers: int, copies: ImageCopies | None = None
) -> ds.Dataset:
    """A dataset of uint8 images (H, W, 3) and labels, read by `workers` threads."""
    numbered = ds.GeneratorDataset(
        NumberedLabels(labelled.labels), ["image", "label"], sampler=sampler, num_parallel_workers=1
    )

    def read(number):
        return _photo(labelled, copies, int(number)).pixels()

    return numbered.map(read, "image", num_parallel_workers=workers)


def _photo(labelled: LabelledImages, copies: ImageCopies | None, number: int) -> Photo:
    return Photo.of(copies.read(number)) if copies else Photo(labelled.path(number))


def random_crops(data, sampler) -> ds.Dataset:
    """A dataset of random crops of an `ImageFolder`, float32 (3, H, W), normalised, and labels.

    H and W are `data.resize`.
    """
    drawn = ds.GeneratorDataset(
        Draws(data.labels(), data.shard_id or 0),
        ["image", "drawn", "label"],
        sampler=sampler,
        num_parallel_workers=1,
    )
    read = _reader_of_crops(data)
    workers = data.num_parallel_workers
    return drawn.map(read, ["image", "drawn"], ["image"], num_parallel_workers=workers)


class NumberedLabels:
    """The number and the label of each image."""

    def __init__(self, labels: np.ndarray):
        self.labels = labels.astype(np.int32)

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, i):
        return np.int64(i), self.labels[i]


class Draws(NumberedLabels):
    """The number of each image, the random numbers of its augmentation, and its label.

    The generator restarts when MindSpore's seed changes; only one thread may read the items.
    """

    def __init__(self, labels: np.ndarray, shard: int):
        super().__init__(labels)
        self.shard = shard
        self.seed: int | None = None

    def __getitem__(self, i):
        if self.seed != ds.config.get_seed():
            self.seed = ds.config.get_seed()
            self.random = np.random.default_rng((self.seed, self.shard))
        return np.int64(i), self.random.random(NUMBERS), self.labels[i]


def _reader_of_crops(data):
    """A function from an image's number and random numbers to its crop, float32 (3, H, W).

    It is a function because MindSpore copies objects, with all that they hold, for each epoch.
    """
    labelled, copies, size = data.images, copies_of(data), data.resize
    levels = np.arange(256, dtype=np.uint8)[None, None, :, None]
    table = normalized(levels, data.mean, data.std)[0, :, 0]  # (3, 256)

    def read(number, drawn):
        pixels = random_crop(_photo(labelled, copies, int(number)), drawn, size)
        out = np.empty((3, *size), np.float32)
        for channel, values, normal in zip(cv2.split(pixels), out, table):
            cv2.LUT(channel, normal, values)
        return out

    return read
