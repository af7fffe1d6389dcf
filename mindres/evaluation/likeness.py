"""How like the images that a network knows an image is, by the direction of its features.

The likeness is the largest cosine similarity of an image's features to the mean features of a
class. It needs the network's features; of the logits alone, the largest and the energy (Liu et al.,
2020) tell noise and other data sets from the network's own images far less well.
"""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
from mindspore import nn
from numpy.typing import NDArray

from mindres.data.dataset import ImageDataset
from mindres.data.pipeline import batches
from mindres.errors import UserError
from mindres.evaluation.inference import inference, logits
from mindres.evaluation.trained_data import part_of
from mindres.models.save import save_checkpoint
from mindres.weights.formats import read_checkpoint
from mindres.weights.metadata import Metadata

MOST_IMAGES = 256  # that a likeness is found by
MOST_NUMBERS = 200_000  # of all class means, which a checkpoint records as text
UNLIKE = 0.05  # share of the network's own images that are called unlike


class Features(nn.Cell):
    """What the classifier of a network is given."""

    def __init__(self, net):
        super().__init__(auto_prefix=False)
        self.backbone = net.backbone
        self.neck = net.neck if net.with_neck else None

    def construct(self, x):
        x = self.backbone(x)
        return x if self.neck is None else self.neck(x)


def likeness_of(features: NDArray, labels: NDArray) -> dict | None:
    """What a checkpoint notes, from images of the network's own kind; None if that is too much.

    Args:
        features, labels: float (N, D) and int (N,).

    Returns a dict: `means`, directions of the mean features of classes, (K, D), and `least`, the
    likeness that all but `UNLIKE` of the images have, each judged by means of other images.
    """
    if len(labels) < 20 or len(np.unique(labels)) * features.shape[1] > MOST_NUMBERS:
        return None
    half = np.arange(len(labels)) % 2 == 0
    seen = [
        likeness(features[~part], _means(features[part], labels[part])) for part in (half, ~half)
    ]
    means = np.round(_means(features, labels), 4)
    return {"means": means.tolist(), "least": float(np.quantile(np.concatenate(seen), UNLIKE))}


def likeness(features: NDArray, means: NDArray) -> NDArray:
    """The largest cosine similarity of each of the features (N, D) to the means (K, D), (N,)."""
    return (directions(features) @ np.asarray(means).T).max(axis=1)


def unlike(net, images: NDArray, metadata: Metadata) -> NDArray:
    """Whether normalised images (N, C, H, W) are unlike all that the network knows, bool (N,).

    Raises:
        UserError: the checkpoint does not say what it knows.
    """
    recorded = metadata.likeness
    if recorded is None:
        raise UserError(
            "the checkpoint does not note what the features of its classes are: train the network "
            "with mindres train of this version, on images of which some judge it"
        )
    return likeness(image_features(net, images), recorded["means"]) < recorded["least"]


def note_likeness(net, path: Path, data) -> None:
    """Note in a checkpoint what the features of the network's own images are.

    Args:
        net: the network with the weights of the checkpoint.
        path: the checkpoint.
        data: an `ImageDataset` of images that did not train the network.
    """
    if not isinstance(data, ImageDataset):
        return
    some = part_of(data, np.arange(0, len(data), -(-len(data) // MOST_IMAGES)))
    parts, labels = [], []
    for images, those in batches(some).create_tuple_iterator(num_epochs=1, output_numpy=True):
        parts.append(image_features(net, images))
        labels.append(those)
    recorded = likeness_of(np.concatenate(parts), np.concatenate(labels))
    if recorded is not None:
        metadata = dataclasses.replace(read_checkpoint(path)[1], likeness=recorded)
        save_checkpoint(net, path, **metadata)
        net.metadata = metadata


def image_features(net, images: NDArray) -> NDArray:
    """The features of normalised images (N, C, H, W), float (N, D)."""
    with inference(Features(net), mode=None) as inferring:
        return logits(inferring, images).reshape(len(images), -1)


def _means(features: NDArray, labels: NDArray) -> NDArray:
    found = [features[labels == k].mean(axis=0) for k in np.unique(labels)]
    return directions(np.stack(found))


def directions(vectors: NDArray) -> NDArray:
    """Vectors (N, D) brought to length 1, float32; those of length 0 stay."""
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
