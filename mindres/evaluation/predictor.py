"""Classifies images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mindres.data.as_trained import preprocess
from mindres.data.images import read_image
from mindres.errors import UserError
from mindres.evaluation.confidence import threshold_of
from mindres.evaluation.inference import inference, logits
from mindres.evaluation.likeness import unlike
from mindres.evaluation.probabilities import softmax
from mindres.models.build import check_images
from mindres.weights.metadata import Metadata

BATCH_SIZE = 32


@dataclass
class Prediction:
    """The network's predictions.

    classes: the most probable class of each image, int (N,).
    probabilities: float (N, num_classes).
    names: the name of each image's class, or its number if names are not known.
    sure: whether the prediction reaches the threshold of `precision`, bool (N,); True without one.
    unlike: whether the features are unlike those of all classes, bool (N,); None if not asked for.
    """

    classes: np.ndarray
    probabilities: np.ndarray
    names: list[str]
    sure: np.ndarray
    unlike: np.ndarray | None = None


def predict(
    net,
    images,
    metadata: Mapping | None = None,
    amp_level="O0",
    precision: float | None = None,
    none_of_these: bool = False,
) -> Prediction:
    """Classify images.

    It is safe to call this from several threads: a call waits while another thread predicts,
    evaluates, trains or exports with mindres.

    Args:
        net: a network of this package.
        images: normalised images, a float array or tensor (N, C, H, W), from a data set of
            `mindres.data` or from `preprocess`; or the names of image files, which are prepared
            like the network's training images.
        metadata: the metadata that `load_model` returned with the network; None for
            `net.metadata`, which `load_model` and `mindres.train` set.
        amp_level: mixed precision, as in `mindres.train`. With "O0" logits are those of PyTorch to
            1e-4.
        precision: the fraction of `sure` predictions that are correct, one of `PRECISIONS`, by the
            checkpoint's thresholds; None calls all of them sure.
        none_of_these: find the images that are `unlike` all classes, too.

    Returns:
        The classes and probabilities; the logits are divided by the checkpoint's temperature.

    Raises:
        UserError: a file cannot be read, the metadata do not say how images are prepared, the
            network cannot take images of their shape, the checkpoint has no threshold for
            `precision` or no class means for `none_of_these`, or the device does not support
            `amp_level`.
    """
    if metadata is None:
        metadata = getattr(net, "metadata", None)
    threshold = 0.0 if precision is None else threshold_of(metadata, precision)
    names = _file_names(images)
    if names is not None:
        images = np.stack([preprocess(read_image(name), metadata or {}) for name in names])
    images = images.asnumpy() if hasattr(images, "asnumpy") else np.asarray(images, np.float32)
    if images.ndim != 4:
        raise UserError(f"the images must have the shape (N, C, H, W), not {images.shape}")
    check_images(net, images.shape[1:])
    # The caller's mode is kept, since compiling a graph takes longer than a few images.
    with inference(net, mode=None, amp_level=amp_level) as inferring:
        starts = range(0, len(images), BATCH_SIZE)
        parts = [logits(inferring, images[i : i + BATCH_SIZE]) for i in starts]
    probabilities = softmax(np.concatenate(parts) / Metadata.of(metadata).temperature)
    sure = probabilities.max(axis=1) >= threshold
    classes = probabilities.argmax(axis=1)
    known = Metadata.of(metadata).classes or []
    if len(known) != probabilities.shape[1]:
        known = [str(k) for k in range(probabilities.shape[1])]
    far = unlike(net, images, Metadata.of(metadata)) if none_of_these else None
    return Prediction(classes, probabilities, [known[k] for k in classes], sure, far)


def _file_names(images) -> list | None:
    """`images` as a list if it is a file name or a list of them; else None."""
    if isinstance(images, (str, os.PathLike)):
        return [images]
    if isinstance(images, (list, tuple)) and images:
        return list(images) if isinstance(images[0], (str, os.PathLike)) else None
    return None


def class_names(net, metadata: Mapping) -> list[str]:
    """The names of the classes in the metadata, or their numbers."""
    names = Metadata.of(metadata).classes or range(net.architecture["num_classes"])
    return [str(name) for name in names]
