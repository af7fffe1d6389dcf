"""What all data sets share: their arguments, and what each of them says of itself."""

from __future__ import annotations

import copy
import hashlib
import os
from abc import ABC, abstractmethod
from pathlib import Path

import numpy as np
from mindspore.dataset import vision

from mindres.data import arguments, augment as augmentations, sampling, showing, splits
from mindres.errors import UserError


class ImageDataset(ABC):
    """Labelled images, with MindVision's arguments.

    `run()` returns a MindSpore dataset of batches with the columns `image`, float32 (N, C, H, W)
    normalised by `mean` and `std`, and `label`, int32 (N,); with mixup or cutmix the label is
    float32 (N, classes). Batches of "train" all have `batch_size` images; the other splits end with
    a shorter one, so that every image counts once. `len()` is the number of images of the split.

    Args:
        path: folder of the data set; each class says how it is searched.
        split: "train", "test", or "val" for the images that are held out of "train".
        transform: operations on the uint8 image (H, W, C) in place of `default_transform()`.
        target_transform: operations on the label, before it becomes int32.
        batch_size: images in a batch.
        repeat_num: how often `run()` repeats the images.
        shuffle: new order every epoch; None is True for "train" alone. Order and augmentation
            follow from `mindspore.set_seed`.
        num_parallel_workers: threads of each step that takes single images.
        num_shards, shard_id: keep the images of one worker of several.
        resize: side of the square images, or (height, width), in pixels.
        download: download the data set if it is not there.
        validation_fraction: part of the training images held out as "val", in [0, 1).
        validation_seed: which images these are.
        split_rule: how they are chosen, "order" or "path" (see `mindres.data.splits`); None is the
            class's own rule.
        auto_augment: a name in `mindres.data.AUTO_AUGMENT`, before the class's own augmentation.
        random_erasing: probability of erasing a rectangle (arXiv:1708.04896).
        mixup: the alpha of mixup (arXiv:1710.09412); 0 is off.
        cutmix: the alpha of CutMix (arXiv:1905.04899); 0 is off.
        augment: False takes training images as they are.
        standardize: False leaves images in [0, 1]; their `mean` is then 0 and their `std` 1.
        channels: of the images, one of the class's `channel_choices`; None is the first of them.
        skip_broken: leave out broken image files, and print how many (folders of images only).

    Raises:
        UserError: an argument is out of range, or the files are missing or damaged.
    """

    # What each class says of its images.
    mean: tuple[float, ...] = ()  # of values in [0, 1], for each channel
    std: tuple[float, ...] = ()
    classes: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("train", "val", "test")
    channel_choices: tuple[int, ...] = (3,)  # one grey channel may be repeated
    native_size: tuple[int, int] | None = None  # of the files, where all have the same
    mirrored = False  # whether a mirror image belongs to the same class
    shift = 0  # by up to how many of its own pixels a training image is shifted
    crop_fraction = 1.0  # of the shorter side, kept of an image that is not for training
    split_rule = "order"

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
        split_rule=None,
        auto_augment="none",
        random_erasing=0.0,
        mixup=0.0,
        cutmix=0.0,
        augment=True,
        standardize=True,
        channels=None,
        skip_broken=False,
    ):
        channels = self.channel_choices[0] if channels is None else channels
        split_rule = type(self).split_rule if split_rule is None else split_rule
        arguments.check_choice(f"{self.name} has no split", split, self.splits)
        arguments.check_choice(
            f"{self.name} has no images of this number of channels:",
            channels,
            self.channel_choices,
        )
        arguments.check_choice("unknown split_rule", split_rule, splits.SPLIT_RULES)
        arguments.check_counts(batch_size=batch_size, repeat_num=repeat_num)
        arguments.check_fraction(validation_fraction)
        arguments.check_augmentation(auto_augment, random_erasing, mixup, cutmix)
        arguments.check_shard(num_shards, shard_id)
        training = split == "train"
        self.path = None if path is None else Path(os.path.expanduser(path))
        self.split = split
        self.transform = transform
        self.target_transform = target_transform
        self.batch_size = batch_size
        self.repeat_num = repeat_num
        self.shuffle = training if shuffle is None else shuffle
        self.num_parallel_workers = num_parallel_workers
        self.num_shards = num_shards
        self.shard_id = shard_id
        self.resize = arguments.image_size(resize)
        self.validation_fraction = validation_fraction
        self.validation_seed = validation_seed
        self.split_rule = split_rule
        self.auto_augment = auto_augment
        self.random_erasing = random_erasing
        self.mixup = mixup
        self.cutmix = cutmix
        self.augment = augment and training
        self.drop_remainder = training
        self.channels = channels
        self.skip_broken = skip_broken
        if download:
            self.download()
        self.prepare()
        self._set_normalization(standardize)

    def _set_normalization(self, standardize: bool) -> None:
        """Set `mean` and `std` for each of the channels."""
        if len(self.mean) == 1:
            self.mean = self.mean * self.channels
            self.std = self.std * self.channels
        if not standardize:
            self.mean = (0.0,) * len(self.mean)
            self.std = (1.0,) * len(self.std)

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def index2label(self) -> dict[int, str]:
        """The class names by label."""
        return dict(enumerate(self.classes))

    def __len__(self) -> int:
        """The number of images of the split, those of all shards together."""
        indices = self.indices()
        return len(self.labels()) if indices is None else len(indices)

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return showing.as_text(self)

    def _repr_html_(self) -> str:
        return showing.as_html(self)

    @classmethod
    def validation_split(cls, validation_fraction: float = 0.0) -> str:
        """The split that training is validated on: "val" where images are held out, else "test"."""
        return "val" if validation_fraction > 0 else "test"

    def download(self) -> None:
        """Download the data set if it is not there."""
        raise UserError(f"{self.name} cannot be downloaded")

    @abstractmethod
    def prepare(self) -> None:
        """Find and check the files, and set `classes`."""

    @abstractmethod
    def source(self, sampler):
        """A MindSpore dataset of uint8 images (H, W, C) and labels, in the order of `sampler`."""

    @abstractmethod
    def labels(self) -> np.ndarray:
        """The labels of all images in the files; "val" has the files of "train"."""

    @abstractmethod
    def files(self) -> list[Path]:
        """The files that the images come from."""

    def use_classes(self, names) -> None:
        """Number the classes as `names` does, which has all of them."""
        if list(names) != list(self.classes):
            raise UserError(
                f"the classes of {self.name} have other numbers in the checkpoint: name the "
                "dataset that it was trained on"
            )

    def train_and_val(self) -> tuple[np.ndarray, np.ndarray]:
        """The indices of the images trained on, and of those held out of training."""
        return splits.split_by_order(self.labels(), self.validation_fraction, self.validation_seed)

    def indices(self) -> np.ndarray | None:
        """Which of the images in the files the split has; None for all."""
        return sampling.split_indices(self)

    def split_labels(self) -> np.ndarray:
        """The labels of the split's images, in the files' order."""
        indices = self.indices()
        return self.labels() if indices is None else self.labels()[indices]

    def existing_folder(self) -> Path:
        """The folder `path`; `UserError` where there is none."""
        if self.path is None:
            raise UserError(f"{self.name} needs the folder of its files (--dataset_path)")
        if not self.path.exists():
            raise UserError(
                f"the dataset folder {self.path} does not exist: correct --dataset_path, "
                "or add --download"
            )
        if not self.path.is_dir():
            raise UserError(f"{self.path} is not a folder: correct --dataset_path")
        return self.path

    def image_names(self) -> list[str] | None:
        """The file of each image of the split, in their order; None where images have none."""
        return None

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

    def default_transform(self) -> list:
        """Augmentation for "train", then resizing and normalisation."""
        random = [*self.policy(), *self.augmentation()] if self.augment else []
        return [*random, *self.fit(), *self.normalize()]

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

    def plain(self):
        """The same images, each once, in the files' order, and not augmented."""
        other = copy.copy(self)
        other.augment = False
        other.shuffle = False
        other.drop_remainder = False
        other.repeat_num = 1
        return other

    def fingerprint(self) -> str:
        """A digest that changes with the files, the choice among them, and what is done to them."""
        stats = [(str(p.resolve()), p.stat().st_size, p.stat().st_mtime_ns) for p in self.files()]
        plain_types = (str, int, float, bool, tuple, type(None))
        options = {
            name: value for name, value in vars(self).items() if isinstance(value, plain_types)
        }
        operations = [(type(op).__name__, str(vars(op))) for op in self.transform or []]
        told = repr((self.name, stats, sorted(options.items()), operations))
        return hashlib.sha256(told.encode()).hexdigest()

    def run(self):
        """The MindSpore dataset of batches."""
        from mindres.data.pipeline import pipeline

        return pipeline(self)
