"""What a network says of images."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import mindspore
import numpy as np

from mindres.evaluation.inference import inference, logits
from mindres.evaluation.probabilities import softmax
from mindres.weights.metadata import Metadata

BATCH_SIZE = 32


@dataclass
class Prediction:
    """The network's answers.

    classes: the likeliest class of each image, int (N,).
    probabilities: float (N, num_classes).
    """

    classes: np.ndarray
    probabilities: np.ndarray


def predict(net, images) -> Prediction:
    """The class and the probabilities that `net` gives each image.

    `images` is a float array or tensor of normalised images (N, C, H, W), as the datasets of
    `mindres.data` give and `preprocess` makes of any image.
    """
    images = images.asnumpy() if hasattr(images, "asnumpy") else np.asarray(images, np.float32)
    # In the caller's mode: to compile a graph takes longer than a few images do.
    with inference(net, mindspore.get_context("mode")):
        parts = [logits(net, images[i : i + BATCH_SIZE]) for i in range(0, len(images), BATCH_SIZE)]
    probabilities = softmax(np.concatenate(parts))
    return Prediction(probabilities.argmax(axis=1), probabilities)


def class_names(net, metadata: Mapping) -> list[str]:
    """The names of the classes that the checkpoint noted, or their numbers."""
    names = Metadata.of(metadata).classes or range(net.architecture["num_classes"])
    return [str(name) for name in names]
