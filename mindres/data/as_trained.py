"""Prepares images as for the training of a checkpoint.

Prediction, evaluation and export all follow this file.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from PIL import Image

from mindres.data.build import dataset_class, name_of
from mindres.data.dataset import ImageDataset
from mindres.data.image_transforms import edge_before_crop, resizing
from mindres.errors import UserError
from mindres.weights.metadata import Metadata

LARGEST_PICTURE = 480  # pixels of the longer side of a Grad-CAM picture


def preprocess(image: np.ndarray, metadata: Mapping) -> np.ndarray:
    """Prepare an image for the network of a checkpoint.

    Args:
        image: uint8 RGB (H, W, 3).
        metadata: the checkpoint's metadata.

    Returns:
        float32 (C, h, w), resized or cropped as its data set does outside of training, and
        normalised; grey if the network takes one channel.

    Raises:
        UserError: the metadata lack what is needed.
    """
    metadata = Metadata.of(metadata)
    check_says_how(metadata)
    size, mean, std = (metadata[name] for name in ("input_size", "mean", "std"))
    size = tuple(size)
    if len(mean) == 1:
        image = np.asarray(Image.fromarray(image).convert("L"))[..., None]
    edge = shorter_side(metadata)
    if edge is not None:
        image = _less_extreme(image, size)
    for operation in resizing(size, edge):
        image = operation(image)
    scaled = (image.reshape(*size, -1) / 255 - mean) / std
    return scaled.transpose(2, 0, 1).astype(np.float32)


def check_says_how(metadata: Metadata) -> None:
    """Raise `UserError` unless the metadata say how images are prepared."""
    lacking = [key for key in ("mean", "std", "input_size") if key not in metadata]
    if lacking:
        raise UserError(
            "the checkpoint does not say how its images are prepared "
            f"({', '.join(lacking)}): it was not trained by mindres on a data set of mindres.data"
        )


def shorter_side(metadata: Metadata) -> int | None:
    """The size in pixels of the shorter side before cropping; None if nothing is cropped."""
    if not crops(metadata):
        return None
    return edge_before_crop(metadata["input_size"], crop_fraction(metadata))


def _less_extreme(image, size):
    """`image` without ends that cropping to `size` would remove anyway.

    With them, an image one pixel high would be resized to gigabytes.
    """
    height, width = image.shape[:2]
    longest = min(height, width) * 8 * -(-max(size) // min(size))
    top = max(0, (height - longest) // 2)
    left = max(0, (width - longest) // 2)
    return image[top : height - top, left : width - left]


def crop_fraction(metadata: Metadata) -> float:
    """The fraction of an image's shorter side that the data set of `metadata` keeps."""
    if metadata.crop_fraction:
        return metadata.crop_fraction
    try:
        return dataset_class(str(metadata.dataset)).crop_fraction
    except UserError:
        return 1.0


def crops(metadata: Metadata) -> bool:
    """Whether images of another aspect ratio are cropped; otherwise they are stretched."""
    return metadata.fit == "crop" if metadata.fit else crop_fraction(metadata) < 1


def prepare_as_trained(data: ImageDataset, metadata: Metadata) -> None:
    """Let a data set crop or stretch its images, and normalise them, as `preprocess` does.

    What the metadata do not say remains the data set's own.
    """
    if metadata.fit or metadata.crop_fraction or metadata.dataset:
        data.crops = crops(metadata)
        data.crop_fraction = crop_fraction(metadata)
    for statistic in ("mean", "std"):
        recorded = getattr(metadata, statistic) or ()
        if len(recorded) == len(data.mean):
            setattr(data, statistic, tuple(recorded))


def visible(image: np.ndarray, metadata: Mapping) -> np.ndarray:
    """The part of `image` (H, W, 3) that `preprocess` keeps, at a size for display."""
    metadata = Metadata.of(metadata)
    if crops(metadata):
        height, width = image.shape[:2]
        size = metadata["input_size"]
        edge = crop_fraction(metadata) * min(height, width) / min(size)
        h, w = (max(1, round(edge * side)) for side in size)
        top = max(0, (height - h) // 2)
        left = max(0, (width - w) // 2)
        image = image[top : top + h, left : left + w]
    small = Image.fromarray(image)
    small.thumbnail((LARGEST_PICTURE, LARGEST_PICTURE))
    return np.asarray(small)


def held_out(data: ImageDataset) -> dict:
    """The options by which images are held out of training, under the names of the flags."""
    names = ("validation_fraction", *data.further_options)
    return {name: getattr(data, name) for name in names}


def describe(data) -> Metadata:
    """The metadata of a data set that using a checkpoint needs."""
    if not isinstance(data, ImageDataset):
        return Metadata()
    return Metadata(
        dataset=name_of(data),
        classes=list(data.classes),
        mean=list(data.mean),
        std=list(data.std),
        input_size=list(data.resize),
        crop_fraction=data.crop_fraction,
        split_rule=data.split_rule,
        held_out=held_out(data),
        skip_broken=data.skip_broken,
    )
