"""Automatic augmentation policies for training images."""

from __future__ import annotations

import pkgutil

from mindspore.dataset import transforms, vision

from mindres.data import AUTO_AUGMENT
from mindres.errors import UserError

# MindSpore 2.10's own RandAugment, AutoAugment and TrivialAugmentWide turn one image in four to ten
# entirely black. The single operations are sound, so the policies here are made of these.


def policy(name: str) -> list:
    """The operations of the automatic augmentation `name`, one of `mindres.data.AUTO_AUGMENT`."""
    if name not in AUTO_AUGMENT:
        raise UserError(f"unknown auto_augment {name!r}: choose one of {', '.join(AUTO_AUGMENT)}")
    return pkgutil.resolve_name(AUTO_AUGMENT[name])()


def no_augmentation() -> list:
    return []


def rand_augment() -> list:
    """RandAugment (arXiv:1909.13719) with its defaults: two operations at strength 9 of 10."""
    return [transforms.RandomChoice(_operations(9 / 10)) for _ in range(2)]


def trivial_augment() -> list:
    """TrivialAugment (arXiv:2103.10158): one operation at any strength."""
    return [transforms.RandomChoice(_operations(1.0))]


def _operations(strength: float) -> list:
    """RandAugment's operations (arXiv:1909.13719, table 6).

    Each draws its magnitude from its range up to `strength`, a fraction of the largest.
    """
    near = (1 - 0.9 * strength, 1 + 0.9 * strength)
    shear, shift = 17 * strength, 0.3 * strength  # degrees, and part of the side
    return [
        vision.RandomRotation(30 * strength, vision.Inter.BILINEAR),
        vision.RandomAffine(0, shear=(-shear, shear, 0, 0)),
        vision.RandomAffine(0, shear=(0, 0, -shear, shear)),
        vision.RandomAffine(0, translate=(-shift, shift, 0, 0)),
        vision.RandomAffine(0, translate=(0, 0, -shift, shift)),
        vision.RandomColorAdjust(brightness=near),
        vision.RandomColorAdjust(contrast=near),
        vision.RandomColor(near),
        vision.RandomSharpness(near),
        vision.AutoContrast(),
        vision.Equalize(),
        vision.RandomPosterize((4, 8)),
        vision.RandomSolarize((round(255 * (1 - 0.9 * strength)), 255)),
    ]
