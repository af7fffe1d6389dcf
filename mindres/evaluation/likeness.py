"""Tells images that are unlike a network's training images, by the direction of their features.

The likeness of an image is the largest cosine similarity of its features to the mean features of a
class. By the logits alone, with their maximum or their energy (Liu et al., 2020), noise and other
data sets are told from the network's own images far less well.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from pathlib import Path

import mindspore
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

MOST_IMAGES = 256  # images from which the class means and the least likeness are computed
MOST_NUMBERS = 200_000  # of all class means, which a checkpoint records as text
UNLIKE = 0.05  # fraction of the network's own images that are called unlike
BATCH_SIZE = 32


class Features(nn.Cell):
    """A network without its classifier: the classifier's inputs for images."""

    def __init__(self, net):
        super().__init__(auto_prefix=False)
        self.backbone = net.backbone
        self.neck = net.neck if net.with_neck else None

    def construct(self, x):
        x = self.backbone(x)
        return x if self.neck is None else self.neck(x)


def likeness_of(features: NDArray, labels: NDArray) -> dict | None:
    """What a checkpoint records, from images that did not train the network.

    Args:
        features, labels: float (N, D) and int (N,).

    Returns:
        A dict of `means`, the directions of the mean features of the classes, (K, D), and `least`,
        the likeness that all but `UNLIKE` of the images reach, each compared with the means of
        other images. None if there are too few images or too many numbers to record.
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
    """Whether normalised images (N, C, H, W) are unlike all classes of the network, bool (N,).

    Raises:
        UserError: the checkpoint records no class means.
    """
    recorded = metadata.likeness
    if recorded is None:
        raise UserError(
            "the checkpoint does not note what the features of its classes are: train the network "
            "with mindres train of this version, on images of which some judge it"
        )
    return likeness(image_features(net, images), recorded["means"]) < recorded["least"]


def note_likeness(net, path: Path, data) -> None:
    """Record in a checkpoint what `unlike` needs.

    Args:
        net: the network with the weights of the checkpoint.
        path: the checkpoint.
        data: an `ImageDataset` of images that did not train the network; others are ignored.
    """
    if not isinstance(data, ImageDataset):
        return
    some = part_of(data, np.arange(0, len(data), -(-len(data) // MOST_IMAGES)))
    recorded = likeness_of(dataset_features(net, some), some.split_labels())
    if recorded is not None:
        metadata = dataclasses.replace(read_checkpoint(path)[1], likeness=recorded)
        save_checkpoint(net, path, **metadata)
        net.metadata = metadata


def image_features(net, images: NDArray) -> NDArray:
    """The features of normalised images (N, C, H, W), float (N, D)."""
    starts = range(0, len(images), BATCH_SIZE)
    return _features(net, (images[i : i + BATCH_SIZE] for i in starts))


def dataset_features(net, data: ImageDataset) -> NDArray:
    """The features of all images of `data` in their order, float (N, D)."""
    rows = batches(data).create_tuple_iterator(num_epochs=1, output_numpy=True)
    return _features(net, (images for images, _ in rows))


def _features(net, parts: Iterable[NDArray]) -> NDArray:
    # Compiling a graph takes longer than these few images.
    with inference(Features(net), mindspore.PYNATIVE_MODE) as inferring:
        found = [logits(inferring, images) for images in parts]
    return np.concatenate([each.reshape(len(each), -1) for each in found])


def _means(features: NDArray, labels: NDArray) -> NDArray:
    found = [features[labels == k].mean(axis=0) for k in np.unique(labels)]
    return directions(np.stack(found))


def directions(vectors: NDArray) -> NDArray:
    """The vectors scaled to length 1, float32 (N, D); those of length 0 stay."""
    vectors = np.asarray(vectors, np.float32)
    return vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
