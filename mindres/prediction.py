"""What a network says about images."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mindspore.dataset import vision
from PIL import Image, ImageOps, UnidentifiedImageError

from mindres.errors import UserError
from mindres.evaluation import logits

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


@dataclass
class Prediction:
    """`classes`: the likeliest class of each image, int (N,). `probabilities`: float (N, num_classes)."""

    classes: np.ndarray
    probabilities: np.ndarray


def predict(net, images) -> Prediction:
    """The class and the probabilities that `net` gives each image.

    `images` is a float array or tensor of normalised images (N, C, H, W), as the datasets of `mindres.data` give.
    """
    images = images.asnumpy() if hasattr(images, "asnumpy") else np.asarray(images, np.float32)
    scores = logits(net, images).astype(np.float64)
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    return Prediction(probabilities.argmax(axis=1), probabilities)


def image_files(folder) -> list[Path]:
    """The image files below `folder`, in order; `UserError` when there are none."""
    folder = Path(folder).expanduser()
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES)
    if not found:
        raise UserError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return found


def read_image(path) -> np.ndarray:
    """An image file as uint8 RGB (H, W, 3), the right way up."""
    try:
        with Image.open(path) as image:
            return np.asarray(ImageOps.exif_transpose(image).convert("RGB"))
    except (OSError, UnidentifiedImageError, SyntaxError, ValueError) as error:
        raise UserError(f"{path} cannot be read as an image: {error}") from None


def preprocess(image: np.ndarray, metadata: dict) -> np.ndarray:
    """A uint8 RGB image (H, W, 3) as the network of a checkpoint with this `metadata` wants it: float32 (3, h, w)."""
    resized = vision.Resize(tuple(metadata["input_size"]), vision.Inter.BICUBIC)(image)
    scaled = (resized / 255 - metadata["mean"]) / metadata["std"]
    return scaled.transpose(2, 0, 1).astype(np.float32)
