"""The training images that are most like a mistake, by the network's features."""

from __future__ import annotations

import numpy as np

from mindres.data.pipeline import batches
from mindres.evaluation.likeness import directions, image_features
from mindres.evaluation.trained_data import part_of
from mindres.pictures.drawing import denormalize
from mindres.report.image_grids import data_uri

NEAREST = 3
MOST_IMAGES = 2000
MULTIPLY_ADDS = 5e11  # of all training images that are looked at: some ten seconds on two cores


def find_lookalikes(net, train, inputs: dict, classes, multiply_adds: int) -> dict:
    """The nearest training images of each image, the nearest first.

    Args:
        net: whose features the images are compared by.
        train: the `ImageDataset` that it was trained on, of which some images are looked at.
        inputs: normalised images (C, H, W) by position.
        classes: numbers of the classes that the training images may have.
        multiply_adds: of the network for one image.

    Returns for each position a list of (data URI, name of the class).
    """
    labels = train.split_labels()
    places = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(labels, classes)))
    most = min(MOST_IMAGES, max(100, int(MULTIPLY_ADDS / multiply_adds)))
    some = part_of(train, np.sort(places[:most]))
    if not len(some) or not inputs:
        return {}
    wanted = directions(image_features(net, np.stack(list(inputs.values()))))
    near: list[list] = [[] for _ in inputs]
    for images, those in batches(some).create_tuple_iterator(num_epochs=1, output_numpy=True):
        alike = wanted @ directions(image_features(net, images)).T
        for found, row in zip(near, alike):
            best = np.argsort(-row)[:NEAREST]
            found += [(float(row[k]), images[k], int(those[k])) for k in best]
            found.sort(key=lambda each: -each[0])
            del found[NEAREST:]
    return {
        position: [
            (data_uri(denormalize(image[None], train.mean, train.std)[0]), train.classes[label])
            for _, image, label in found
        ]
        for position, found in zip(inputs, near)
    }
