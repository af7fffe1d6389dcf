"""torchvision's `RandomResizedCrop` and a mirror image, from given random numbers."""

from __future__ import annotations

import math

import cv2
import numpy as np

from mindres.data.photo import Photo

TRIES = 10
RATIO = (3 / 4, 4 / 3)  # of a part's width to its height
NUMBERS = 4 * TRIES + 1  # random ones that `random_crop` takes
SCALE = (0.35, 1.0)  # part of an image's area that is cut out
# From here on a part that is made smaller is averaged: between pixels that are far apart something
# would be lost. Mean difference from Pillow's bicubic filter on photographs, in levels of 256: 2.8
# linear and 1.2 averaged at 1.67; 1.5 and 1.5 at 1.25. Averaging takes six times as long.
AVERAGED_FROM = 1.75


def random_crop(photo: Photo, numbers, size: tuple[int, int]) -> np.ndarray:
    """A random part of an image, mirrored or not: uint8 RGB (H, W, 3) of `size` (height, width).

    A JPEG is read at the smallest of its own scales at which the part still has as many pixels.

    Args:
        photo: the image.
        numbers: `NUMBERS` random ones in [0, 1).
        size: (height, width) of the result, pixels.
    """
    top, left, height, width = random_box(photo.height, photo.width, numbers, SCALE)
    scale = photo.scale(height, width, size)
    pixels = photo.pixels(scale)
    top, left = top // scale, left // scale
    part = resized(pixels[top : top + height // scale, left : left + width // scale], size)
    return cv2.flip(part, 1) if numbers[-1] < 0.5 else part


def random_box(height: int, width: int, numbers, scale) -> tuple[int, int, int, int]:
    """(top, left, height, width) of a random part of an image.

    Args:
        height, width: of the image, pixels.
        numbers: four random ones in [0, 1) for each of `TRIES`.
        scale: the least and the most part of the area.
    """
    low, high = map(math.log, RATIO)
    for i in range(0, 4 * TRIES, 4):
        area = height * width * (scale[0] + numbers[i] * (scale[1] - scale[0]))
        ratio = math.exp(low + numbers[i + 1] * (high - low))
        w, h = round(math.sqrt(area * ratio)), round(math.sqrt(area / ratio))
        if 0 < w <= width and 0 < h <= height:
            top = int(numbers[i + 2] * (height - h + 1))
            return top, int(numbers[i + 3] * (width - w + 1)), h, w
    # The largest part in the middle whose ratio is in the range.
    h = min(height, round(width / RATIO[0])) or 1
    w = min(width, round(height * RATIO[1])) or 1
    return (height - h) // 2, (width - w) // 2, h, w


def resized(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """uint8 (H, W, 3) at `size` (height, width): bicubic where it grows."""
    larger = max(image.shape[0] / size[0], image.shape[1] / size[1])
    if image.shape[:2] == tuple(size):
        return image
    if larger <= 1:
        method = cv2.INTER_CUBIC
    else:
        method = cv2.INTER_LINEAR if larger < AVERAGED_FROM else cv2.INTER_AREA
    return cv2.resize(image, size[::-1], interpolation=method)
