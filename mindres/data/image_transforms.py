"""The operations on images of a data set: augmentation, resizing, normalisation."""

from __future__ import annotations

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
    crop_fraction = 1.0  # fraction of the shorter side that is kept outside of training

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
        if self.resize == self.native_size:
            return []
        return [vision.Resize(self.resize, vision.Inter.BICUBIC)]

    def centre_crop(self) -> list:
        """The operations that bring the shorter side to its size and cut out the middle."""
        edge = round(min(self.resize) / self.crop_fraction)
        return [vision.Resize(edge, vision.Inter.BICUBIC), vision.CenterCrop(self.resize)]

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
