"""What a network says about images: arrays, files, folders, standard input."""

from __future__ import annotations

import io
import os
import warnings
from dataclasses import dataclass
from pathlib import Path

import mindspore
import numpy as np
from mindspore.dataset import vision
from PIL import Image, ImageOps

from mindres.data import DATASETS
from mindres.errors import UserError
from mindres.evaluation import inference, logits
from mindres.folder import IMAGE_SUFFIXES

BATCH_SIZE = 32
LARGEST_IMAGE = 55_000_000  # pixels: with what its mode takes, less than a gigabyte; a telephone's photograph has 50
LARGEST_DRAFT = (4096, 4096)  # where a larger JPEG may be read at a half, a quarter or an eighth
LARGEST_PICTURE = 480  # pixels of the longer side of a Grad-CAM picture


@dataclass
class Prediction:
    """`classes`: the likeliest class of each image, int (N,). `probabilities`: float (N, num_classes)."""

    classes: np.ndarray
    probabilities: np.ndarray


def predict(net, images) -> Prediction:
    """The class and the probabilities that `net` gives each image.

    `images` is a float array or tensor of normalised images (N, C, H, W), as the datasets of `mindres.data` give and
    `preprocess` makes of any image.
    """
    images = images.asnumpy() if hasattr(images, "asnumpy") else np.asarray(images, np.float32)
    # In the caller's mode: to compile a graph takes longer than a few images do.
    with inference(net, mindspore.get_context("mode")):
        parts = [logits(net, images[i:i + BATCH_SIZE]) for i in range(0, len(images), BATCH_SIZE)]
    scores = np.concatenate(parts).astype(np.float64)
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    probabilities = shifted / shifted.sum(axis=1, keepdims=True)
    return Prediction(probabilities.argmax(axis=1), probabilities)


def image_files(folder) -> list[Path]:
    """The image files below `folder`, in order; `UserError` when there are none."""
    folder = Path(os.path.expanduser(folder))
    if not folder.is_dir():
        raise UserError(f"there is no folder {folder}")
    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in IMAGE_SUFFIXES and p.is_file())
    if not found:
        raise UserError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)})")
    return found


def read_image(source) -> np.ndarray:
    """An image as uint8 RGB (H, W, 3), turned as its EXIF orientation says.

    Any mode that Pillow reads: grey, palette and CMYK become RGB, 16 bits a value become 8, what is transparent
    becomes white, and of an animation the first frame is taken. `source` is a path or a binary file.

    Raises:
        UserError: the image cannot be read.
    """
    try:
        with warnings.catch_warnings():
            # Pillow warns of metadata that it cannot use, and of images larger than 89 million pixels.
            warnings.simplefilter("ignore")
            with Image.open(source) as image:
                if image.width * image.height > LARGEST_IMAGE:
                    image.draft(None, LARGEST_DRAFT)  # JPEG alone can be read smaller
                if image.width * image.height > LARGEST_IMAGE:
                    raise ValueError(f"it has {image.width:,} x {image.height:,} pixels, and {LARGEST_IMAGE:,} in all "
                                     "are the most")
                ImageOps.exif_transpose(image, in_place=True)
                return _rgb(image)
    except MemoryError:
        raise UserError(f"{shown(source)} is larger than the memory") from None
    except Exception as error:  # Pillow's decoders raise what the damaged field happens to cause
        reason = "it is no image that Pillow knows" if isinstance(error, Image.UnidentifiedImageError) else \
            getattr(error, "strerror", None) or error or type(error).__name__
        raise UserError(f"{shown(source)} cannot be read as an image: {reason}") from None


def _rgb(image):
    if image.mode == "I" or image.mode.startswith("I;16"):  # "I" is Pillow's older name for 16 bits
        eight_bits = np.rint(np.arange(65536) / 257).astype(np.uint8)
        return np.repeat(eight_bits[np.clip(np.asarray(image), 0, 65535)][..., None], 3, axis=2)
    if image.mode == "F":
        values = np.array(image, np.float32)
        # It has no fixed range: up to 1, 255 or 65535 are all common.
        values /= next((top for top in (1, 255, 65535) if values.max() <= top), values.max())
        np.clip(values, 0, 1, out=values)
        values *= 255
        return np.repeat(np.rint(values, out=values).astype(np.uint8)[..., None], 3, axis=2)
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        image = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", image.size, "white"), image)
    return np.asarray(image.convert("RGB"))


def preprocess(image: np.ndarray, metadata: dict) -> np.ndarray:
    """A uint8 RGB image (H, W, 3) as the network of a checkpoint with this `metadata` wants it.

    float32 (C, h, w), resized or cropped as its dataset does outside of training; grey where the network takes one
    channel.

    Raises:
        UserError: the metadata does not say how.
    """
    lacking = [key for key in ("mean", "std", "input_size") if key not in metadata]
    if lacking:
        raise UserError(f"the checkpoint does not say how its images are prepared ({', '.join(lacking)}): it was not "
                        "trained by mindres on a dataset of mindres.data")
    size = tuple(metadata["input_size"])
    if len(metadata["mean"]) == 1:
        image = np.asarray(Image.fromarray(image).convert("L"))[..., None]
    fraction = crop_fraction(metadata)
    if fraction < 1:
        image = _less_extreme(image, size)
        image = vision.CenterCrop(size)(vision.Resize(round(min(size) / fraction), vision.Inter.BICUBIC)(image))
    else:
        image = vision.Resize(size, vision.Inter.BICUBIC)(image)
    scaled = (image.reshape(*size, -1) / 255 - metadata["mean"]) / metadata["std"]
    return scaled.transpose(2, 0, 1).astype(np.float32)


def _less_extreme(image, size):
    """`image` without the ends that cropping to `size` would take anyway: a line of pixels would grow to gigabytes."""
    height, width = image.shape[:2]
    longest = min(height, width) * 8 * -(-max(size) // min(size))
    top, left = max(0, (height - longest) // 2), max(0, (width - longest) // 2)
    return image[top:height - top, left:width - left]


def crop_fraction(metadata) -> float:
    """How much of the shorter side the dataset of this `metadata` keeps of an image; 1 where it crops nothing."""
    kinds = {kind.__name__.lower(): kind for kind in DATASETS.values()}
    kind = kinds.get(metadata.get("dataset")) or DATASETS.get(metadata.get("dataset"))
    return metadata.get("crop_fraction", getattr(kind, "crop_fraction", 1.0))


def visible(image: np.ndarray, metadata: dict) -> np.ndarray:
    """The part of `image` (H, W, 3) that `preprocess` keeps, no larger than is needed to look at."""
    fraction = crop_fraction(metadata)
    if fraction < 1:
        height, width = image.shape[:2]
        edge = fraction * min(height, width) / min(metadata["input_size"])
        h, w = (max(1, round(edge * side)) for side in metadata["input_size"])
        top, left = max(0, (height - h) // 2), max(0, (width - w) // 2)
        image = image[top:top + h, left:left + w]
    small = Image.fromarray(image)
    small.thumbnail((LARGEST_PICTURE, LARGEST_PICTURE))
    return np.asarray(small)


def shown(source) -> str:
    """A file name for messages: one line, whatever characters it has."""
    name = "standard input" if isinstance(source, io.IOBase) else os.fsencode(source).decode("utf-8",
                                                                                            "backslashreplace")
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in name)


def class_names(net, metadata) -> list[str]:
    """The names of the classes that the checkpoint noted, or their numbers."""
    return [str(name) for name in metadata.get("classes") or range(net.architecture["num_classes"])]
