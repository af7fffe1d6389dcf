"""What a network says of images."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from mindres.data.as_trained import preprocess
from mindres.data.images import read_image
from mindres.errors import UserError
from mindres.evaluation.confidence import PRECISIONS
from mindres.evaluation.inference import inference, logits
from mindres.evaluation.probabilities import softmax
from mindres.models.build import check_images
from mindres.weights.metadata import Metadata

BATCH_SIZE = 32


@dataclass
class Prediction:
    """The network's answers.

    classes: the likeliest class of each image, int (N,).
    probabilities: float (N, num_classes).
    names: the name of the likeliest class of each image; its number where no names are known.
    sure: whether an answer is given, bool (N,): all of them where no `precision` was asked for.
    """

    classes: np.ndarray
    probabilities: np.ndarray
    names: list[str]
    sure: np.ndarray


def predict(
    net, images, metadata: Mapping | None = None, amp_level="O0", precision: float | None = None
) -> Prediction:
    """The class and the probabilities that `net` gives each image.

    Safe to call from several threads: whatever of mindres runs a network takes turns, so that a
    call waits while another thread predicts, evaluates, trains or exports.

    Args:
        net: a network of this package.
        images: normalised images, a float array or tensor (N, C, H, W), as the data sets of
            `mindres.data` give and `preprocess` makes of any image; or the names of image files,
            which are prepared as the network's training images were.
        metadata: what `load_model` returned with the network; None for what it, or the training of
            this process, has left in `net.metadata`.
        amp_level: mixed precision, as in `mindres.train`. With "O0" logits are those of PyTorch to
            1e-4.
        precision: give only answers of which so many are right, one of `PRECISIONS`; the others are
            not `sure`.

    Probabilities are those of the logits divided by the temperature that the checkpoint notes.

    Raises:
        UserError: a file cannot be read, nothing says how images are to be prepared, the network
            takes no images of their shape, nothing promises the `precision`, or there is no such
            `amp_level` on this device.
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
    # In the caller's mode: to compile a graph takes longer than a few images do.
    with inference(net, mode=None, amp_level=amp_level) as inferring:
        starts = range(0, len(images), BATCH_SIZE)
        parts = [logits(inferring, images[i : i + BATCH_SIZE]) for i in starts]
    probabilities = softmax(np.concatenate(parts) / Metadata.of(metadata).temperature)
    sure = probabilities.max(axis=1) >= threshold
    classes = probabilities.argmax(axis=1)
    known = Metadata.of(metadata).classes or []
    if len(known) != probabilities.shape[1]:
        known = [str(k) for k in range(probabilities.shape[1])]
    return Prediction(classes, probabilities, [known[k] for k in classes], sure)


def threshold_of(metadata: Mapping | None, precision: float) -> float:
    """From which probability on answers are so often right.

    Raises:
        UserError: the checkpoint does not say, or its validation images cannot promise it.
    """
    if precision not in PRECISIONS:
        shown = ", ".join(map(str, PRECISIONS))
        raise UserError(f"`precision` must be one of {shown}, not {precision}")
    noted = Metadata.of(metadata).confidence
    if noted is None:
        raise UserError(
            "the checkpoint notes no thresholds for a `precision`: train the network with this "
            "version of mindres, which finds them on the validation images"
        )
    thresholds = {row[0]: row[1] for row in noted["thresholds"]}
    if precision not in thresholds:
        most = f"at most {max(thresholds)}" if thresholds else "none"
        raise UserError(
            f"`precision` {precision} cannot be promised by what the validation images showed: "
            f"{most} can"
        )
    return thresholds[precision]


def _file_names(images) -> list | None:
    """`images` as a list, where it is the name of a file or several names; else None."""
    if isinstance(images, (str, os.PathLike)):
        return [images]
    if isinstance(images, (list, tuple)) and images:
        return list(images) if isinstance(images[0], (str, os.PathLike)) else None
    return None


def class_names(net, metadata: Mapping) -> list[str]:
    """The names of the classes that the checkpoint noted, or their numbers."""
    names = Metadata.of(metadata).classes or range(net.architecture["num_classes"])
    return [str(name) for name in names]
