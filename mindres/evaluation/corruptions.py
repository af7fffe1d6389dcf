"""Corruptions of images by which robustness is measured (Hendrycks and Dietterich, ICLR 2019).

A new one is a function of an image and a strength, and a row of `CORRUPTIONS`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from PIL import Image

if TYPE_CHECKING:
    from numpy.typing import NDArray

STRENGTHS = ("weak", "middle", "strong")
SMALL = 64  # pixels: images up to this side take the strengths of CIFAR-10-C


class Corruption(NamedTuple):
    """A row: what is done to an image, and how much of it for each of `STRENGTHS`.

    apply: a function of an image, float (H, W, C) in [0, 1], a strength, and a random generator;
        what it returns may leave [0, 1].
    small, large: the severities 1, 3 and 5 of CIFAR-10-C and of ImageNet-C, from make_cifar_c.py
        and make_imagenet_c.py in github.com/hendrycks/robustness, ImageNet-C/create_c.
    """

    apply: Callable
    small: tuple[float, float, float]
    large: tuple[float, float, float]


def gaussian_noise(image: NDArray, deviation: float, rng) -> NDArray:
    return image + rng.normal(0, deviation, image.shape)


def shot_noise(image: NDArray, photons: float, rng) -> NDArray:
    return rng.poisson(image * photons) / photons


def impulse_noise(image: NDArray, share: float, rng) -> NDArray:
    """Salt and pepper: a share of the values becomes 0 or 1."""
    drawn = rng.random(image.shape)
    return np.where(drawn < share, drawn < share / 2, image)


def gaussian_blur(image: NDArray, sigma: float, rng) -> NDArray:
    from scipy.ndimage import gaussian_filter

    return gaussian_filter(image, (sigma, sigma, 0), mode="nearest")


def brightness(image: NDArray, more: float, rng) -> NDArray:
    """The V of HSV, the largest of the channels, becomes larger by `more`, up to 1."""
    value = image.max(axis=2, keepdims=True)
    factor = np.minimum(value + more, 1) / np.maximum(value, 1e-6)
    return np.where(value > 0, image * factor, more)


def contrast(image: NDArray, factor: float, rng) -> NDArray:
    mean = image.mean(axis=(0, 1))
    return mean + (image - mean) * factor


def jpeg(image: NDArray, quality: float, rng) -> NDArray:
    buffer = io.BytesIO()
    _picture(image).save(buffer, "JPEG", quality=int(quality))
    return _pixels(Image.open(buffer))


def pixelate(image: NDArray, factor: float, rng) -> NDArray:
    picture = _picture(image)
    coarse = [max(1, int(side * factor)) for side in picture.size]
    small = picture.resize(coarse, Image.Resampling.BOX)
    return _pixels(small.resize(picture.size, Image.Resampling.BOX))


CORRUPTIONS = {
    "gaussian noise": Corruption(gaussian_noise, (0.04, 0.08, 0.1), (0.08, 0.18, 0.38)),
    "shot noise": Corruption(shot_noise, (500, 100, 50), (60, 12, 3)),
    "impulse noise": Corruption(impulse_noise, (0.01, 0.03, 0.07), (0.03, 0.09, 0.27)),
    "gaussian blur": Corruption(gaussian_blur, (0.4, 0.7, 1), (1, 3, 6)),
    "brightness": Corruption(brightness, (0.05, 0.15, 0.3), (0.1, 0.3, 0.5)),
    "contrast": Corruption(contrast, (0.75, 0.4, 0.15), (0.4, 0.2, 0.05)),
    "jpeg": Corruption(jpeg, (80, 58, 40), (25, 15, 7)),
    "pixelate": Corruption(pixelate, (0.95, 0.85, 0.65), (0.6, 0.4, 0.25)),
}


def corrupt(images: NDArray, name: str, strength: int, rng) -> NDArray:
    """Images with a corruption, in 256 values as a file has them.

    Args:
        images: float (N, C, H, W) in [0, 1].
        name: one of `CORRUPTIONS`.
        strength: 0, 1 or 2.
        rng: a NumPy generator.

    Returns float32 (N, C, H, W) in [0, 1].
    """
    row = CORRUPTIONS[name]
    much = (row.small if max(images.shape[2:]) <= SMALL else row.large)[strength]
    changed = [row.apply(image.transpose(1, 2, 0), much, rng) for image in images]
    found = np.stack(changed).transpose(0, 3, 1, 2)
    return (np.rint(np.clip(found, 0, 1) * 255) / 255).astype(np.float32)


def _picture(image: NDArray) -> Image.Image:
    values = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    return Image.fromarray(values[..., 0] if values.shape[2] == 1 else values)


def _pixels(picture: Image.Image) -> NDArray:
    values = np.asarray(picture, np.float64) / 255
    return values[..., None] if values.ndim == 2 else values
