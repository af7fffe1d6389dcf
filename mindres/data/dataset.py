"""What all datasets share: splits, shards, augmentation, normalisation and batches, over MindSpore's C++ pipeline."""

from __future__ import annotations

import copy
import hashlib
import math
import os
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from mindspore import dataset as ds, int32
from mindspore.dataset import transforms, vision

from mindres.data.augment import policy
from mindres.data.batch_augment import BatchTransform
from mindres.data.splits import stratified_split
from mindres.errors import UserError


class ImageDataset(ABC):
    """Labelled images, with MindVision's arguments.

    `run()` gives a MindSpore dataset of batches with the columns `image`, float32 (N, C, H, W) normalised by `mean`
    and `std`, and `label`, int32 (N,); with mixup or cutmix the label is float32 (N, classes). Batches of "train" all
    have `batch_size` images; the other splits end with a shorter one, so that every image counts once.

    Args:
        path: folder of the dataset; how it is searched stands with each class.
        split: "train", "test", or "val" for the images that `validation_fraction` holds out of "train".
        transform: operations on the uint8 image (H, W, C) in place of `default_transform()`.
        target_transform: operations on the label, before it becomes int32.
        batch_size: images in a batch.
        repeat_num: how often `run()` repeats the images.
        shuffle: new order every epoch; None is True for "train" alone. Order and augmentation follow from
            `mindspore.set_seed`.
        num_parallel_workers: threads of each step that takes single images; batches are made in one.
        num_shards, shard_id: keep the images of one worker of several.
        resize: side of the square images, or (height, width), in pixels.
        download: fetch the dataset if it is not there.
        validation_fraction: part of the training images held out, in [0, 1), each class in proportion.
        validation_seed: which images these are.
        auto_augment: "none", "randaugment" (arXiv:1909.13719: two operations at strength 9 of 10) or "trivialaugment"
            (arXiv:2103.10158: one at any strength), before the dataset's own augmentation.
        random_erasing: probability of erasing a rectangle (arXiv:1708.04896).
        mixup: the alpha of mixup (arXiv:1710.09412); 0 is off.
        cutmix: the alpha of CutMix (arXiv:1905.04899); 0 is off.
        augment: False takes training images as they are.
        standardize: False leaves images in [0, 1]; their `mean` is then 0 and their `std` 1.
        channels: of the images, one of the class's `channel_choices`; None is the first of them.
        skip_broken: leave broken image files out, and say how many (a folder of images alone has such).

    Raises:
        UserError: an argument is out of range, or the files are missing or damaged.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    crop_fraction = (
        1.0  # of the shorter side, kept when an image that is not for training is cropped
    )
    mirrored = False  # whether a mirror image belongs to the same class
    shift = 0  # by up to how many of its own pixels a training image is shifted
    native_size: tuple[int, int] | None = None  # of the files, where all have the same
    splits = ("train", "val", "test")
    channel_choices: tuple[int, ...] = (3,)  # of its images; the first where none is asked for

    def __init__(
        self,
        path=None,
        split="train",
        transform=None,
        target_transform=None,
        batch_size=32,
        repeat_num=1,
        shuffle=None,
        num_parallel_workers=1,
        num_shards=None,
        shard_id=None,
        resize=32,
        download=False,
        *,
        validation_fraction=0.0,
        validation_seed=0,
        auto_augment="none",
        random_erasing=0.0,
        mixup=0.0,
        cutmix=0.0,
        augment=True,
        standardize=True,
        channels=None,
        skip_broken=False,
    ):
        if split not in self.splits:
            raise UserError(
                f"{self.name} has no split {split!r}: choose one of {', '.join(self.splits)}"
            )
        if channels not in (None, *self.channel_choices):
            choices = " or ".join(map(str, self.channel_choices))
            raise UserError(f"{self.name} gives images of {choices} channels, not {channels}")
        for what, value in (("batch_size", batch_size), ("repeat_num", repeat_num)):
            if value < 1:
                raise UserError(f"{what} must be at least 1, not {value}")
        if not 0 <= validation_fraction < 1:
            raise UserError(f"validation_fraction must be in [0, 1), not {validation_fraction}")
        policy(auto_augment)
        if not (0 <= random_erasing <= 1 and 0 <= mixup < math.inf and 0 <= cutmix < math.inf):
            raise UserError("random_erasing must be in [0, 1], and mixup and cutmix at least 0")
        if mixup and cutmix:
            raise UserError("mixup and cutmix exclude each other: choose one")
        if (num_shards is None) != (shard_id is None) or (
            num_shards is not None and not 0 <= shard_id < num_shards
        ):
            raise UserError(f"shard_id must be in [0, num_shards), not {shard_id} of {num_shards}")
        self.path = None if path is None else Path(os.path.expanduser(path))
        self.split, self.transform, self.target_transform = split, transform, target_transform
        self.channels = channels or self.channel_choices[0]
        if len(self.mean) == 1:  # one grey value, repeated where three channels are asked for
            self.mean, self.std = self.mean * self.channels, self.std * self.channels
        self.skip_broken = skip_broken
        self.batch_size, self.repeat_num = batch_size, repeat_num
        self.resize = (resize, resize) if isinstance(resize, int) else tuple(resize)
        if min(self.resize) < 1:
            raise UserError(f"resize must be at least 1 pixel, not {resize}")
        self.shuffle = split == "train" if shuffle is None else shuffle
        self.num_shards, self.shard_id = num_shards, shard_id
        self.num_parallel_workers = num_parallel_workers
        self.validation_fraction, self.validation_seed = validation_fraction, validation_seed
        self.auto_augment, self.random_erasing, self.mixup, self.cutmix = (
            auto_augment,
            random_erasing,
            mixup,
            cutmix,
        )
        self.augment = augment and split == "train"
        self.drop_remainder = split == "train"
        if download:
            self.download()
        self.prepare()
        if not standardize:
            self.mean, self.std = (0.0,) * len(self.mean), (1.0,) * len(self.mean)

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def index2label(self) -> dict[int, str]:
        """The class names by label."""
        return dict(enumerate(self.classes))

    @classmethod
    def validation_split(cls, validation_fraction: float = 0.0) -> str:
        """The split that training is validated on: "val" where images are held out, else "test"."""
        return "val" if validation_fraction > 0 else "test"

    def download(self) -> None:
        """Fetch the dataset if it is not there."""
        raise UserError(f"{self.name} cannot be downloaded")

    @abstractmethod
    def prepare(self) -> None:
        """Find and check the files, and set `classes`."""

    @abstractmethod
    def source(self, sampler):
        """A MindSpore dataset of uint8 images (H, W, C) and labels, in the order of `sampler`."""

    @abstractmethod
    def labels(self) -> np.ndarray:
        """The labels of the files of this split, in their order; "val" shares those of "train"."""

    @abstractmethod
    def files(self) -> list[Path]:
        """The files that the images of this split come from."""

    def image_names(self) -> list[str] | None:
        """The file of each image of this split, in their order; None where an image has no file of its own."""
        return None

    def policy(self) -> list:
        """The operations of `auto_augment`, on images of three channels."""
        return policy(self.auto_augment)

    def augmentation(self) -> list:
        """This dataset's own random operations on training images."""
        return [
            *([vision.RandomCrop(self.native_size, self.shift)] if self.shift else []),
            *([vision.RandomHorizontalFlip()] if self.mirrored else []),
        ]

    def default_transform(self) -> list:
        """Augmentation for "train", then resizing and normalisation."""
        random = [*self.policy(), *self.augmentation()] if self.augment else []
        return [*random, *self.fit(), *self.normalize()]

    def fit(self) -> list:
        """Bring an image to the size of `resize`."""
        return (
            []
            if self.resize == self.native_size
            else [vision.Resize(self.resize, vision.Inter.BICUBIC)]
        )

    def normalize(self) -> list:
        """uint8 (H, W, C) to float32 (C, H, W): scaled to [0, 1], less `mean`, divided by `std`."""
        return [
            vision.Normalize([255 * m for m in self.mean], [255 * s for s in self.std]),
            vision.HWC2CHW(),
        ]

    def indices(self) -> np.ndarray | None:
        """Which of the files' images this split has; None for all."""
        if self.split == "test" or not self.validation_fraction:
            if self.split == "val":
                raise UserError(
                    f"{self.name} holds no images out of its training split: give validation_fraction"
                )
            return None
        train, val = stratified_split(self.labels(), self.validation_fraction, self.validation_seed)
        return train if self.split == "train" else val

    def _sampler(self):
        indices = self.indices()
        if self.num_shards is None:
            if indices is None:
                return ds.RandomSampler() if self.shuffle else ds.SequentialSampler()
            return (ds.SubsetRandomSampler if self.shuffle else ds.SubsetSampler)(indices.tolist())
        if indices is None:
            indices = np.arange(len(self.labels()))
        if not self.shuffle:
            # Shards of unequal length: nothing is repeated to even them out, so that evaluation counts each image once.
            return ds.SubsetSampler(indices[self.shard_id :: self.num_shards].tolist())
        sampler = ds.DistributedSampler(self.num_shards, self.shard_id, shuffle=True)
        sampler.add_child(ds.SubsetSampler(indices.tolist()))
        return sampler

    def plain(self):
        """The same images, each once, in the files' order and as they are."""
        other = copy.copy(self)
        other.augment = other.shuffle = other.drop_remainder = False
        other.repeat_num = 1
        return other

    def fingerprint(self) -> str:
        """Changes with the files, the choice among them, and what is done to them."""
        stats = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in self.files()]
        options = {
            k: v
            for k, v in vars(self).items()
            if isinstance(v, (str, int, float, bool, tuple, type(None)))
        }
        operations = [(type(op).__name__, str(vars(op))) for op in self.transform or []]
        return hashlib.sha256(
            repr((self.name, stats, sorted(options.items()), operations)).encode()
        ).hexdigest()

    def run(self):
        """The MindSpore dataset of batches."""
        workers = self.num_parallel_workers
        data = self.source(self._sampler())
        whole = self._whole_batches()
        if not whole:
            data = data.map(
                self.transform or self.default_transform(), "image", num_parallel_workers=workers
            )
        if self.random_erasing and self.augment:
            data = data.map(
                vision.RandomErasing(self.random_erasing), "image", num_parallel_workers=workers
            )
        if self.target_transform:
            data = data.map(self.target_transform, "label", num_parallel_workers=workers)
        mixing = self._mixing()
        if mixing:
            data = data.map(
                transforms.OneHot(len(self.classes)), "label", num_parallel_workers=workers
            )
        images = data.get_dataset_size()
        if self.drop_remainder and images < self.batch_size:
            raise UserError(
                f"batch_size {self.batch_size} is larger than the {images} training images of "
                f"{self.name}: lower it"
            )
        data = data.batch(self.batch_size, drop_remainder=self.drop_remainder)
        if whole:
            data = data.map(whole, "image", num_parallel_workers=1)
        data = (
            data.map(mixing, ["image", "label"], num_parallel_workers=workers)
            if mixing
            else data.map(transforms.TypeCast(int32), "label")
        )
        return data.repeat(self.repeat_num)

    def _whole_batches(self) -> BatchTransform | None:
        """What does the work of `default_transform()`, where no image needs anything of its own."""
        if (
            self.transform
            or self.resize != self.native_size
            or (self.augment and (self.random_erasing or self.auto_augment != "none"))
        ):
            return None
        return BatchTransform(
            self.shift * self.augment,
            self.mirrored and self.augment,
            self.mean,
            self.std,
            self.shard_id or 0,
        )

    def _mixing(self):
        if self.mixup and self.augment:
            return vision.MixUpBatch(self.mixup)
        if self.cutmix and self.augment:
            return vision.CutMixBatch(vision.ImageBatchFormat.NCHW, self.cutmix, 1.0)
        return None


def batches(data):
    """The MindSpore dataset of an `ImageDataset`; any other is returned as it is."""
    return data.run() if isinstance(data, ImageDataset) else data
