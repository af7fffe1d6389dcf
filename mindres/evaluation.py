"""How good a network is on labelled images."""

from __future__ import annotations

from dataclasses import dataclass

import mindspore
import numpy as np

from mindres import native
from mindres.training import batches


@dataclass
class Evaluation:
    """Results over `num_images` images: fractions for `accuracy` and `top5`, the mean cross entropy `loss`, and
    `confusion_matrix[true, predicted]` in images."""

    accuracy: float
    top5: float
    loss: float
    num_images: int
    confusion_matrix: np.ndarray


def evaluate(net, data) -> Evaluation:
    """Measure `net` on every image of `data` once.

    Args:
        net: a network of this package.
        data: an `ImageDataset`, or a MindSpore dataset of (image, label) batches.
    """
    collected = [(logits(net, images), labels) for images, labels in
                 batches(data).create_tuple_iterator(num_epochs=1, output_numpy=True)]
    scores = np.concatenate([s for s, _ in collected]).astype(np.float64)
    labels = np.concatenate([label for _, label in collected])
    order = np.argsort(-scores, axis=1, kind="stable")
    confusion = np.zeros((scores.shape[1],) * 2, np.int64)
    np.add.at(confusion, (labels, order[:, 0]), 1)
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return Evaluation(accuracy=float((order[:, 0] == labels).mean()),
                      top5=float((order[:, :5] == labels[:, None]).any(axis=1).mean()),
                      loss=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
                      num_images=len(labels), confusion_matrix=confusion)


def logits(net, images: np.ndarray) -> np.ndarray:
    """The network's answer to normalised images (N, C, H, W): float (N, num_classes)."""
    net.set_train(False)
    with native.accelerated(net):
        return net(mindspore.Tensor(images)).asnumpy()
