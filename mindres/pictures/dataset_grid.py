"""Images of a data set with their classes."""

from __future__ import annotations

from mindres.pictures.drawing import image_grid, short
from mindres.pictures.sample_images import samples


def dataset(data, count=24):
    """Images of an `ImageDataset` as the network gets them, with their classes.

    With `augment=False` in the data set they are not augmented.
    """
    some = samples(data, count)
    return dataset_grid(some.shown, some.labels, some.classes)


def dataset_grid(images, labels, classes, columns=6):
    """Images with the names of their classes; `labels` are N integers."""
    return image_grid(images, [short(classes[label]) for label in labels], columns=columns)
