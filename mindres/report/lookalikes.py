"""The training images that are most like a mistake, by the network's features."""

from __future__ import annotations

import numpy as np

from mindres.evaluation.likeness import dataset_features, directions, image_features
from mindres.evaluation.trained_data import part_of, visit
from mindres.pictures.drawing import denormalize
from mindres.report.image_grids import data_uri

NEAREST = 3
MOST_IMAGES = 2000
MULTIPLY_ADDS = 5e11  # of all training images that are looked at: some ten seconds on two cores


def find_lookalikes(net, train, inputs: dict, classes, multiply_adds: int) -> dict:
    """The nearest training images of each image, the nearest first.

    Args:
        net: the network whose features the images are compared by.
        train: the `ImageDataset` that it was trained on, of which some images are looked at.
        inputs: normalised images (C, H, W) by position.
        classes: numbers of the classes that the training images may have.
        multiply_adds: of the network for one image.

    Returns:
        For each position a list of (data URI, name of the class).
    """
    labels = train.split_labels()
    places = np.random.default_rng(0).permutation(np.flatnonzero(np.isin(labels, classes)))
    most = min(MOST_IMAGES, max(100, int(MULTIPLY_ADDS / multiply_adds)))
    places = np.sort(places[:most])
    if not len(places) or not inputs:
        return {}
    some = part_of(train, places)
    wanted = directions(image_features(net, np.stack(list(inputs.values()))))
    alike = wanted @ directions(dataset_features(net, some)).T
    nearest = np.argsort(-alike, axis=1)[:, :NEAREST]
    uris = {
        number: data_uri(denormalize(image[None], train.mean, train.std)[0])
        for number, image in visit(some, nearest)
    }
    return {
        position: [(uris[k], train.classes[labels[places[k]]]) for k in row]
        for position, row in zip(inputs, nearest.tolist())
    }
