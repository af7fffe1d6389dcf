"""Measures a network on labelled images."""

from __future__ import annotations

import numpy as np

from mindres.data.dataset import ImageDataset
from mindres.data.pipeline import batches
from mindres.errors import UserError
from mindres.evaluation.evaluation import Evaluation, evaluation_of
from mindres.evaluation.inference import inference, labeled_batches, logits
from mindres.weights.metadata import Metadata


def evaluate(net, data, classes=None, tta=False, amp_level="O0") -> Evaluation:
    """Measure `net` on every image of `data`.

    This runs in graph mode and then restores the caller's mode. Threads take turns, as with
    `mindres.predict`.

    Args:
        net: a network of this package.
        data: an `ImageDataset`, or a MindSpore dataset of (image, label) batches.
        classes: the class names; None for those of the data, or numbers.
        tta: average the logits of each image and its mirror image.
        amp_level: mixed precision, as in `mindres.train`. With "O0" logits are those of PyTorch to
            1e-4.

    Raises:
        UserError: there are no images, a label is not among the network's classes, or the device
            does not support `amp_level`.
    """
    scores, labels = _answers(net, batches(data), tta, amp_level)
    names = _class_names(scores.shape[1], labels, classes or getattr(data, "classes", None))
    temperature = Metadata.of(getattr(net, "metadata", None)).temperature
    return evaluation_of(scores, labels, names, _image_names(data), temperature)


def _answers(net, loader, tta: bool, amp_level: str) -> tuple[np.ndarray, np.ndarray]:
    """The logits, float64 (N, classes), and the labels of all images."""
    answers, labels = [], []
    size = 0
    with inference(net, amp_level=amp_level) as inferring:
        for images, batch_labels in labeled_batches(net, loader, "evaluating"):
            size = max(size, len(images))
            answers.append(logits(inferring, images, size, tta))
            labels.append(batch_labels)
    return np.concatenate(answers).astype(np.float64), np.concatenate(labels)


def _image_names(data) -> list[str] | None:
    """The files of the images in the order of the evaluation; None if they are not known."""
    known = isinstance(data, ImageDataset) and not data.shuffle and data.num_shards is None
    return data.image_names() if known and data.repeat_num == 1 else None


def _class_names(count: int, labels: np.ndarray, classes) -> list[str]:
    """The names of the network's `count` classes, or numbers.

    Raises:
        UserError: the labels or the names do not fit the number of classes.
    """
    if labels.max() >= count or labels.min() < 0:
        raise UserError(
            f"the data has the label {labels.max()} and the network only {count} classes: name the "
            "data set that it was trained on"
        )
    names = [str(name) for name in (classes or range(count))]
    if len(names) != count:
        raise UserError(
            f"the data has {len(names)} classes and the network {count}: name the data set that "
            "it was trained on"
        )
    return names
