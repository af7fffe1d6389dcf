"""The user's own images: one folder for each class."""

from __future__ import annotations

import copy
import os
from pathlib import Path

import numpy as np
from mindspore.dataset import vision

from mindres.data import CACHES, splits
from mindres.data.arguments import check_choice
from mindres.data.dataset import ImageDataset
from mindres.data.folder_check import leave_broken_out, warn_once
from mindres.data.folder_source import folder_source, random_crops
from mindres.data.folder_tree import find_tree, missing_splits
from mindres.data.groups import check_class_sizes, check_fractions, group_keys
from mindres.data.image_cache import copies_of
from mindres.data.image_copies import ImageCopies
from mindres.data.left_out import listed_files, without_listed
from mindres.data.random_crop import SCALE
from mindres.data.relabelled import relabel_images
from mindres.errors import UserError


class ImageFolder(ImageDataset):
    """The user's own images in folders: `train/<class>/*.jpg` and so on, or only `<class>/*.jpg`.

    Beside `train/` there is `val/` or `test/`, or both. If the requested one is missing, the other
    is used, and `split` is set to it. A single tree is divided into "train", "val" by
    `validation_fraction` (0.2 by default), and "test" by `test_fraction`, about in proportion in
    each class. The split of a file follows from its own path, and does not change if other files
    are added or removed. "all" is every image.

    Before training, the beginning and the end of every new file are checked; other damage is found
    when the image is first read. With `skip_broken` every new image is decoded beforehand, so that
    all runs and evaluations leave out the same ones. The results are kept in the user's cache.

    Images are read as for prediction, by `mindres.data.images.read_image`. For training, a large
    JPEG of which few pixels are needed is read at a half, a quarter or an eighth of its size.

    Args:
        test_fraction: fraction of the training images to hold out as "test", in [0, 1).
        group: a regular expression; files stay in one split if it finds the same text, or the same
            first group, in their paths relative to the folder of the class folders.
        without: a CSV file whose column `path` names images to leave out of "train", such as
            check.csv of `mindres check`; the other images stay in their splits.
        relabel: a CSV file, such as check.csv, with labels for images of "train" (`path`, `label`).
        cache: where to keep copies, of training images 1.15 times as large as `resize`: "none",
            "ram", "disk" (the user's cache, for later runs too), or "auto": whichever has room.
        others: arguments of `ImageDataset`.
    """

    # The values of ImageNet, with which published weights were trained.
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    mirrored = True
    crops = True
    crop_fraction = 0.875  # torchvision's and timm's: 224 of 256
    split_rule = "path"
    splits = ("train", "val", "test", "all")
    further_options: tuple[str, ...] = ("test_fraction", "group")
    _parts: dict[str, np.ndarray] | None = None  # the result of `parts`
    _copies: ImageCopies | None = None  # the result of `copies_of`
    left_out: tuple[str, ...] = ()  # tuples, which the fingerprint includes
    relabelled: tuple[tuple[str, str], ...] = ()

    def __init__(
        self,
        *arguments,
        test_fraction=0.0,
        group=None,
        without=None,
        relabel=None,
        cache="none",
        **others,
    ):
        check_choice("unknown cache", cache, CACHES)
        self.cache = cache
        self.test_fraction = test_fraction
        self.group = group
        self.without = without
        super().__init__(*arguments, **others)
        if relabel and self.split == "train":
            relabel_images(self, relabel)
        if without:
            self.left_out = tuple(sorted(listed_files(without) - set(dict(self.relabelled))))

    @classmethod
    def missing_splits(cls, path, **options):
        return missing_splits(Path(os.path.expanduser(path)))

    @classmethod
    def validation_split(cls, validation_fraction=0.0):
        return "val"

    def prepare(self):
        path = self.existing_folder()
        check_fractions(self.validation_fraction, self.test_fraction)
        held_out = {"val": self.validation_fraction, "test": self.test_fraction}
        tree = find_tree(path, self.split, [name for name, part in held_out.items() if part])
        self.root = tree.root
        self.split = tree.split
        self.classes = tree.classes
        one_tree = tree.root == path  # also for all splits of several trees
        if one_tree:
            self.validation_fraction = self.validation_fraction or 0.2
        # Whether the images are training images of which some are held out.
        self.divided = one_tree or (bool(self.fractions()) and tree.root.name == "train")
        for sentence in tree.left_out:
            warn_once(sentence)
        self.images = tree.images
        leave_broken_out(self.images, self.skip_broken)

    def use_classes(self, names) -> None:
        """Number the classes in the order of `names`, which may have more.

        Raises:
            UserError: a class is missing from `names`.
        """
        numbers = {name: number for number, name in enumerate(names)}
        for name in self.classes:
            if name not in numbers:
                raise UserError(
                    f"{self.root} has the class {name!r}, which is not among the others"
                )
        mapped = np.array([numbers[name] for name in self.classes])
        self.images = copy.copy(self.images)
        self.images.labels = mapped[self.images.labels]
        self._parts = None
        self.classes = tuple(names)

    def indices(self):
        if self.split == "all":
            return None
        chosen = self.parts()[self.split] if self.divided else None
        if not self.left_out or self.split != "train":
            return chosen
        if chosen is None:
            chosen = np.arange(len(self.labels()))
        return without_listed(self, chosen, set(self.left_out))

    def fractions(self) -> dict[str, float]:
        """The fractions of the training images that are held out, by split."""
        shares = {"val": self.validation_fraction, "test": self.test_fraction}
        return {name: share for name, share in shares.items() if share}

    def keys(self) -> list[bytes]:
        """The key of each image; images with the same key stay in one split."""
        return group_keys(self.images.names(), self.group)

    def parts(self) -> dict[str, np.ndarray]:
        """The indices of the images of each split among the training images."""
        if self._parts is None:
            self._parts = self._divide_images()
        return self._parts

    def _divide_images(self) -> dict[str, np.ndarray]:
        if self.split_rule == "order":
            check_class_sizes(self.labels(), self.classes, range(len(self.images)), 2)
            train, val = self.train_and_val()
            return {"train": train, "val": val}
        keys = self.keys()
        check_class_sizes(self.labels(), self.classes, keys, 1 + len(self.fractions()))
        held_out = self.validation_fraction, self.test_fraction
        return splits.split_by_path(self.labels(), keys, *held_out, self.validation_seed)

    def labels(self):
        return self.images.labels

    def files(self):
        return [path for path, _ in self.images]

    def image_names(self):
        indices = self.indices()
        numbers = range(len(self.images)) if indices is None else indices
        return [os.fsdecode(self.images.path(i)) for i in numbers]

    def source(self, sampler):
        return folder_source(self.images, sampler, self.num_parallel_workers, copies_of(self))

    def augmented_source(self, sampler):
        return random_crops(self, sampler) if self.augment else None

    def augmentation(self):
        crop = vision.RandomResizedCrop(self.resize, SCALE, interpolation=vision.Inter.BICUBIC)
        return [crop, vision.RandomHorizontalFlip()]

    def fit(self):
        # RandomResizedCrop has resized it, or copies have its size.
        return [] if self.augment or copies_of(self) else super().fit()

    def plain(self):
        other = super().plain()
        other.cache = "none"
        return other
