"""What is done to each image of a data set: augmentation, resizing, normalisation."""

from __future__ import annotations

from mindspore.dataset import vision

from mindres.data import augment as augmentations


class ImageTransforms:
    """The operations on single images, in MindSpore's terms; a part of `ImageDataset`."""

    # What each class says of its images.
    mean: tuple[float, ...] = ()  # of values in [0, 1], for each channel
    std: tuple[float, ...] = ()
    native_size: tuple[int, int] | None = None  # of the files, where all have the same
    mirrored = False  # whether a mirror image belongs to the same class
    shift = 0  # by up to how many of its own pixels a training image is shifted
    crop_fraction = 1.0  # of the shorter side, kept of an image that is not for training

    # What is asked for.
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
        """The operations that give an image of the files its `channels`."""
        return []

    def default_transform(self) -> list:
        """Augmentation for "train", then resizing and normalisation."""
        return [*self.convert(), *self.random_transform(), *self.fit(), *self.normalize()]

    def fit(self) -> list:
        """The operations that bring an image to the size of `resize`."""
        if self.resize == self.native_size:
            return []
        return [vision.Resize(self.resize, vision.Inter.BICUBIC)]

    def normalize(self) -> list:
        """uint8 (H, W, C) to float32 (C, H, W): scaled to [0, 1], less `mean`, divided by `std`."""
        mean = [255 * m for m in self.mean]
        std = [255 * s for s in self.std]
        return [vision.Normalize(mean, std), vision.HWC2CHW()]

    def _set_normalization(self, standardize: bool) -> None:
        """Set `mean` and `std` for each of the channels."""
        if len(self.mean) == 1:
            self.mean = self.mean * self.channels
            self.std = self.std * self.channels
        if not standardize:
            self.mean = (0.0,) * len(self.mean)
            self.std = (1.0,) * len(self.std)
