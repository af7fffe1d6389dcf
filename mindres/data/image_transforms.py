"""The operations on images of a data set: augmentation, resizing, normalisation."""

from __future__ import annotations

from collections.abc import Sequence

from mindspore.dataset import vision

from mindres.data import augment as augmentations


class ImageTransforms:
    """MindSpore operations on single images; a base of `ImageDataset`."""

    # What each class defines.
    mean: tuple[float, ...] = ()  # of values in [0, 1], by channel
    std: tuple[float, ...] = ()
    native_size: tuple[int, int] | None = None  # (height, width) of all images, or None
    mirrored = False  # whether a mirror image belongs to the same class
    shift = 0  # largest shift of a training image in pixels of the file
    # Outside of training, images of another aspect ratio are cropped, or else stretched.
    crops = False
    crop_fraction = 1.0  # fraction of the shorter side that cropping keeps

    # Arguments of `ImageDataset`.
    resize: tuple[int, int]
    auto_augment: str
    augment: bool
    channels: int

    def policy(self) -> list:
        """The operations of `auto_augment`, on images of three channels."""
        return augmentations.policy(self.auto_augment)

    def augmentation(self) -> list:
        """This data set's own random operations on training images."""
        operations = []
        if self.shift:
            operations.append(vision.RandomCrop(self.native_size, self.shift))
        if self.mirrored:
            operations.append(vision.RandomHorizontalFlip())
        return operations

    def random_transform(self) -> list:
        """Augmentation for "train"."""
        return [*self.policy(), *self.augmentation()] if self.augment else []

    def convert(self) -> list:
        """The operations that give an image its `channels`."""
        return []

    def default_transform(self) -> list:
        """Augmentation for "train", then resizing and normalisation."""
        return [*self.convert(), *self.random_transform(), *self.fit(), *self.normalize()]

    def fit(self) -> list:
        """The operations that bring an image to the size of `resize`."""
        return [] if self.fits() else self.resizing()

    def fits(self) -> bool:
        """Whether the files' images have the size of `resize`, and nothing is cropped."""
        return self.resize == self.native_size and self._edge() in (None, min(self.resize))

    def _edge(self) -> int | None:
        return edge_before_crop(self.resize, self.crop_fraction) if self.crops else None

    def resizing(self) -> list:
        """The operations that bring an image of any size to that of `resize`."""
        return resizing(self.resize, self._edge())

    def normalize(self) -> list:
        """The operations from uint8 (H, W, C) to float32 (C, H, W), normalised by mean and std."""
        mean = [255 * m for m in self.mean]
        std = [255 * s for s in self.std]
        return [vision.Normalize(mean, std), vision.HWC2CHW()]

    def _set_normalization(self, standardize: bool) -> None:
        """Set `mean` and `std` for each channel."""
        if len(self.mean) == 1:
            self.mean = self.mean * self.channels
            self.std = self.std * self.channels
        if not standardize:
            self.mean = (0.0,) * len(self.mean)
            self.std = (1.0,) * len(self.std)


def edge_before_crop(size: Sequence[int], crop_fraction: float) -> int:
    """The length in pixels that an image's shorter side is resized to, before `size` is cropped."""
    return round(min(size) / crop_fraction)


def resizing(size: Sequence[int], edge: int | None) -> list:
    """The operations that bring an image to `size`, (height, width) in pixels.

    The shorter side is resized to `edge`, and the middle of the image is kept; with None the image
    is stretched.
    """
    if edge is None:
        return [vision.Resize(size, vision.Inter.BICUBIC)]
    return [vision.Resize(edge, vision.Inter.BICUBIC), vision.CenterCrop(size)]
