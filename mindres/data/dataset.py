"""The base class of all data sets: their arguments, and what a subclass must define."""

from __future__ import annotations

import copy
import os
from abc import abstractmethod
from pathlib import Path

from mindres.data import arguments, showing
from mindres.data.fingerprint import files_and_options
from mindres.data.image_split import ImageSplit
from mindres.data.image_transforms import ImageTransforms
from mindres.errors import UserError


class ImageDataset(ImageSplit, ImageTransforms):
    """Labelled images, with MindVision's arguments.

    `run()` returns a MindSpore dataset of batches with the columns `image`, float32 (N, C, H, W)
    normalised by `mean` and `std`, and `label`, int32 (N,); with mixup or CutMix the label is
    float32 (N, classes). Batches of "train" all have `batch_size` images; the other splits end with
    a shorter batch, so that every image counts once. `len()` is the number of images of the split.

    Args:
        path: folder of the data set; each class documents how it is searched.
        split: "train", "test", or "val" for the images that are held out of "train".
        transform: operations on the uint8 image (H, W, C) in place of `default_transform()`.
        target_transform: operations on the label, before it becomes int32.
        batch_size: images per batch.
        repeat_num: how often `run()` repeats the images.
        shuffle: a new order every epoch; None means True for "train" only. Order and augmentation
            follow from `mindspore.set_seed`.
        num_parallel_workers: threads that process single images; None means one per core. The
            images do not depend on it, except for random operations in `transform`.
        num_shards, shard_id: number of workers, and which of them gets these images.
        resize: side of the square images, or (height, width), in pixels.
        download: download the data set if it is missing.
        validation_fraction: fraction of the training images to hold out as "val", in [0, 1).
        validation_seed: seed of their choice.
        split_rule: how they are chosen, "order" or "path" (see `mindres.data.splits`); None means
            the class's own rule.
        auto_augment: a name in `mindres.data.AUTO_AUGMENT`, before the class's own augmentation.
        random_erasing: probability of erasing a rectangle (arXiv:1708.04896).
        mixup: alpha of mixup (arXiv:1710.09412); 0 for none.
        cutmix: alpha of CutMix (arXiv:1905.04899); 0 for none.
        augment: False for training images without augmentation.
        standardize: False leaves images in [0, 1]; their `mean` is then 0 and their `std` 1.
        channels: channels of the images, one of `channel_choices`; None means the first.
        skip_broken: leave out broken image files, and print how many (folders of images only).

    Raises:
        UserError: an argument is out of range, or the files are missing or damaged.
    """

    # What each class defines, beside what its bases have.
    classes: tuple[str, ...] = ()
    splits: tuple[str, ...] = ("train", "val", "test")
    channel_choices: tuple[int, ...] = (3,)  # one grey channel may be repeated
    balanced = False  # whether shuffled images are drawn with all classes equally often
    further_options: tuple[str, ...] = ()  # arguments that other data sets do not take

    def __init__(
        self,
        path=None,
        split="train",
        transform=None,
        target_transform=None,
        batch_size=32,
        repeat_num=1,
        shuffle=None,
        num_parallel_workers=None,
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
        training = split == "train"
        self.path = None if path is None else Path(os.path.expanduser(path))
        self.split = split
        self.transform = transform
        self.target_transform = target_transform
        self.batch_size = batch_size
        self.repeat_num = repeat_num
        self.shuffle = training if shuffle is None else shuffle
        self.num_parallel_workers = arguments.worker_count(num_parallel_workers)
        self.num_shards = num_shards
        self.shard_id = shard_id
        self.resize = arguments.image_size(resize)
        self.validation_fraction = validation_fraction
        self.validation_seed = validation_seed
        self.split_rule = split_rule or type(self).split_rule
        self.auto_augment = auto_augment
        self.random_erasing = random_erasing
        self.mixup = mixup
        self.cutmix = cutmix
        self.augment = augment and training
        self.drop_remainder = training
        self.channels = channels or self.channel_choices[0]
        self.skip_broken = skip_broken
        arguments.check(self)
        if download:
            self.download()
        self.prepare()
        self._set_normalization(standardize)

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def index2label(self) -> dict[int, str]:
        """The class names by label."""
        return dict(enumerate(self.classes))

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        return showing.as_text(self)

    def _repr_html_(self) -> str:
        return showing.as_html(self)

    @classmethod
    def missing_splits(cls, path, **options) -> tuple[str, ...]:
        """Which of "val" and "test" the files in `path` lack; `options` are `further_options`."""
        return ("val",)

    @classmethod
    def validation_split(cls, validation_fraction: float = 0.0) -> str:
        """The split to validate on: "val" if images are held out, else "test"."""
        return "val" if validation_fraction > 0 else "test"

    def download(self) -> None:
        """Download the data set if it is missing."""
        raise UserError(f"{self.name} cannot be downloaded")

    @abstractmethod
    def prepare(self) -> None:
        """Find and check the files, and set `classes`."""

    @abstractmethod
    def source(self, sampler):
        """A MindSpore dataset of uint8 images (H, W, C) and labels, in the order of `sampler`."""

    def augmented_source(self, sampler):
        """Like `source`, but augmented and normalised; None if MindSpore's operations do that."""
        return None

    @abstractmethod
    def files(self) -> list[Path]:
        """The files that the images come from."""

    def use_classes(self, names) -> None:
        """Number the classes in the order of `names`.

        Raises:
            UserError: that is not possible.
        """
        if list(names) != list(self.classes):
            raise UserError(
                f"the classes of {self.name} have other numbers in the checkpoint: name the "
                "data set that it was trained on"
            )

    def existing_folder(self) -> Path:
        """The folder `path`; raises `UserError` if there is none."""
        return arguments.existing_folder(self.path, self.name)

    def plain(self):
        """A copy with every image once, in the order of the files and without augmentation."""
        other = copy.copy(self)
        other.augment = False
        other.shuffle = False
        other.drop_remainder = False
        other.repeat_num = 1
        return other

    def fingerprint(self) -> str:
        """A digest of the files, the split and the transforms."""
        return files_and_options(self)

    def run(self):
        """The MindSpore dataset of batches."""
        from mindres.data.pipeline import pipeline

        return pipeline(self)
