"""Datasets of labelled images over MindSpore's C++ pipeline.

Each class takes MindVision's arguments, and `run()` gives a MindSpore dataset of batches with the columns
`image`, float32 (N, 3, H, W) normalised by `mean` and `std`, and `label`, int32 (N,).
"""

from __future__ import annotations

import hashlib
import pickle
from pathlib import Path

import numpy as np
from mindspore import dataset as ds, int32
from mindspore.dataset import transforms, vision

from mindres import files
from mindres.errors import UserError


class ImageDataset:
    """What all datasets share: arguments, augmentation, normalisation and batches.

    Args:
        path: folder of the dataset; how it is searched stands with each class.
        split: "train" or "test".
        transform: operations on the uint8 image (H, W, 3) in place of `default_transform()`.
        target_transform: operations on the label, before it becomes int32.
        batch_size: images in a batch.
        repeat_num: how often `run()` repeats the images.
        shuffle: new order every epoch; None is True for "train" and False for "test". The order follows
            `mindspore.set_seed`.
        num_parallel_workers: threads of each step. One augments about 19,000 CIFAR images a second.
        num_shards, shard_id: keep the images of one worker of several.
        resize: side of the square images, or (height, width), in pixels.
        download: fetch the dataset if it is not there.

    Batches of "train" all have `batch_size` images; "test" ends with a shorter one, so that each counts.
    """

    mean: tuple[float, ...] = ()
    std: tuple[float, ...] = ()
    splits = ("train", "test")

    def __init__(self, path=None, split="train", transform=None, target_transform=None, batch_size=32, repeat_num=1,
                 shuffle=None, num_parallel_workers=1, num_shards=None, shard_id=None, resize=32, download=False):
        if split not in self.splits:
            raise UserError(f"{self.name} has no split {split!r}: choose one of {', '.join(self.splits)}")
        for what, value in (("batch_size", batch_size), ("repeat_num", repeat_num)):
            if value < 1:
                raise UserError(f"{what} must be at least 1, not {value}")
        self.path = None if path is None else Path(path).expanduser()
        self.split, self.transform, self.target_transform = split, transform, target_transform
        self.batch_size, self.repeat_num = batch_size, repeat_num
        self.resize = (resize, resize) if isinstance(resize, int) else tuple(resize)
        if min(self.resize) < 1:
            raise UserError(f"resize must be at least 1 pixel, not {resize}")
        self.sampling = {"shuffle": split == "train" if shuffle is None else shuffle,
                         "num_shards": num_shards, "shard_id": shard_id}
        self.num_parallel_workers = num_parallel_workers
        if download:
            self.download()
        self.prepare()

    @property
    def name(self) -> str:
        return type(self).__name__

    @property
    def index2label(self) -> dict[int, str]:
        """The class names by label."""
        return dict(enumerate(self.classes))

    def download(self) -> None:
        """Fetch the dataset; most have their own way."""
        raise UserError(f"{self.name} cannot be downloaded")

    def prepare(self) -> None:
        """Find and check the files; sets `classes`. Raises `UserError` for what is missing or damaged."""

    def source(self):
        """A MindSpore dataset of uint8 images (H, W, 3) and labels, in the order of `sampling`."""
        raise UserError(f"{self.name} does not say where its images come from")

    def augmentation(self) -> list:
        """Random operations on training images."""
        return []

    def default_transform(self) -> list:
        """Augmentation for "train", then resizing and normalisation."""
        operations = self.augmentation() if self.split == "train" else []
        return [*operations, vision.Resize(self.resize, vision.Inter.BICUBIC), *self.normalize()]

    def normalize(self) -> list:
        """uint8 (H, W, 3) to float32 (3, H, W): scaled to [0, 1], less `mean`, divided by `std`."""
        return [vision.Normalize([255 * m for m in self.mean], [255 * s for s in self.std]), vision.HWC2CHW()]

    def run(self):
        """The MindSpore dataset of batches."""
        data = self.source()
        workers = self.num_parallel_workers
        data = data.map(self.transform or self.default_transform(), "image", num_parallel_workers=workers)
        if self.target_transform:
            data = data.map(self.target_transform, "label", num_parallel_workers=workers)
        data = data.map(transforms.TypeCast(int32), "label", num_parallel_workers=workers)
        images = data.get_dataset_size()
        if self.split == "train" and images < self.batch_size:
            raise UserError(f"batch_size {self.batch_size} is larger than the {images} training images of "
                            f"{self.name}: lower it")
        return data.batch(self.batch_size, drop_remainder=self.split == "train").repeat(self.repeat_num)


class Digits(ImageDataset):
    """The 1,797 handwritten digits that scikit-learn carries, so that nothing need be fetched.

    8x8 grey images, enlarged to `resize` and repeated over three channels: 1,437 for "train" and 360 for
    "test", split once and for all with the classes in proportion. Source: E. Alpaydin, C. Kaynak, Optical
    Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998 (its test part).
    """

    mean = (0.3054,) * 3
    std = (0.3762,) * 3
    classes = tuple("0123456789")

    def prepare(self):
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
        parts = train_test_split(images, digits.target, test_size=360, stratify=digits.target, random_state=0)
        images, labels = parts[self.split == "test"], parts[2 + (self.split == "test")]
        self.arrays = np.repeat(images[..., None], 3, axis=3), labels.astype(np.int32)

    def source(self):
        return ds.NumpySlicesDataset(self.arrays, ["image", "label"], num_parallel_workers=1, **self.sampling)

    def augmentation(self):
        # A digit has a left and a right: it is shifted, never mirrored.
        return [vision.RandomCrop(8, 1)]

    def download(self):
        """Nothing to fetch."""


class Cifar10(ImageDataset):
    """CIFAR-10: 50,000 and 10,000 colour images of 32x32 pixels in ten classes (Krizhevsky, 2009).

    `path` is `cifar-10-batches-bin` (what the C++ reader takes) or `cifar-10-batches-py` as published, a folder
    that holds one of them or its archive, or that folder's parent. Pickles are read by an unpickler that runs
    nothing, once, into the user's cache; later runs start from there. "train" is augmented as in section 4.2
    of the ResNet paper: padded by 4 pixels, cropped at random, mirrored half the time.
    """

    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2023, 0.1994, 0.2010)
    url = "https://www.cs.toronto.edu/~kriz/"
    # Folder, archive, its MD5, and the file of class names; the first is what `download` fetches.
    layouts = (
        ("cifar-10-batches-bin", "cifar-10-binary.tar.gz", "c32a1d4ab5d03f1284b67883e8d87530", "batches.meta.txt"),
        ("cifar-10-batches-py", "cifar-10-python.tar.gz", "c58f30108f718f92721af3b95e74349a", "batches.meta"),
    )
    file_names = {"train": [f"data_batch_{i}" for i in range(1, 6)], "test": ["test_batch"]}
    record = 1 + 32 * 32 * 3

    def prepare(self):
        if self.path is None:
            raise UserError(f"{self.name} needs the folder of its files (--dataset_path)")
        folder, meta = self._folder()
        binary = folder.name.endswith("-bin")
        self.classes = tuple(_class_names(folder / meta, binary))
        names = self.file_names[self.split]
        self.folder = folder if binary else _converted(folder, names, len(self.classes))
        for name in names:
            _check_binary(self.folder / f"{name}.bin", self.record, len(self.classes))

    def source(self):
        return ds.Cifar10Dataset(str(self.folder), usage=self.split, num_parallel_workers=self.num_parallel_workers,
                                 **self.sampling)

    def augmentation(self):
        return [vision.RandomCrop(32, 4), vision.RandomHorizontalFlip()]

    def default_transform(self):
        steps = super().default_transform()
        return [s for s in steps if self.resize != (32, 32) or not isinstance(s, vision.Resize)]

    def download(self):
        folder, archive, md5, _ = self.layouts[0]
        if self.path is not None and self._candidates():
            return
        root = files.make_folder(self.path or "datasets")
        if not (root / archive).exists():
            files.download(files.mirrored(self.url + archive), root / archive, md5=md5)

    def _candidates(self):
        """(folder, archive's values) of each layout that is there, the one the C++ reader takes first."""
        roots = [self.path]
        if self.path.is_dir():
            roots += sorted(p for p in self.path.iterdir() if p.is_dir())
        return [(folder, layout) for layout in self.layouts for root in roots
                for folder in ([root] if root.name == layout[0] else [root / layout[0]])
                if folder.is_dir() or (folder.parent / layout[1]).is_file()]

    def _folder(self):
        if not self.path.exists():
            raise UserError(f"the dataset folder {self.path} does not exist: correct --dataset_path, or add --download")
        found = self._candidates()
        if not found:
            raise UserError(f"{self.path} holds no CIFAR-10: expected {self.layouts[0][0]} or {self.layouts[1][0]} in "
                            "it; correct --dataset_path, or add --download")
        problem = None
        for folder, (_, archive, md5, meta) in found:
            suffix = ".bin" if folder.name.endswith("-bin") else ""
            wanted = [meta] + [name + suffix for names in self.file_names.values() for name in names]
            lacking = [name for name in wanted if not (folder / name).is_file()]
            packed = folder.parent / archive
            if lacking and packed.is_file():
                files.verify(packed, md5=md5)
                files.extract(packed, files.make_folder(folder), set(wanted))
                lacking = []
            if not lacking:
                return folder, meta
            problem = problem or f"{folder} lacks {lacking[0]}: copy it there, or delete the folder and add --download"
        raise UserError(problem)


def _class_names(path: Path, binary: bool) -> list[str]:
    try:
        if binary:
            names = path.read_text(encoding="utf-8").split()
        else:
            names = _field(read_pickle(path), "label_names", path)
    except (OSError, UnicodeDecodeError) as error:
        raise UserError(f"cannot read the class names in {path}: {error}") from None
    if len(names) != 10:
        raise UserError(f"{path} names {len(names)} classes instead of 10: it is not CIFAR-10's")
    return [n.decode("utf-8", "replace") if isinstance(n, bytes) else str(n) for n in names]


def _check_binary(path: Path, record: int, num_classes: int) -> None:
    try:
        size = path.stat().st_size
        labels = np.memmap(path, np.uint8, "r").reshape(-1, record)[:, 0] if size and size % record == 0 else None
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    if labels is None:
        raise UserError(f"{path} is truncated: {size:,} bytes are not a whole number of {record:,}-byte images; "
                        "fetch the dataset again")
    if labels.max() >= num_classes:
        raise UserError(f"{path} is damaged: it has the label {labels.max()} where {num_classes - 1} is the highest; "
                        "fetch the dataset again")


def _converted(folder: Path, names: list[str], num_classes: int) -> Path:
    """The pickled batches of `folder` in the binary layout, in the user's cache, made when they first are needed."""
    stats = [(folder / name).stat() for name in names]
    key = repr((str(folder.resolve()), [(s.st_size, s.st_mtime_ns) for s in stats]))
    target = files.cache_dir() / "datasets" / hashlib.sha256(key.encode()).hexdigest()[:16]
    for name in names:
        binary = target / f"{name}.bin"
        if not binary.exists():
            images, labels = _read_batch(folder / name, num_classes)
            with files.replacing(binary) as part:
                np.concatenate([labels[:, None], images], axis=1).tofile(part)
    return target


def _read_batch(path: Path, num_classes: int):
    """uint8 images (N, 3072) and labels (N,) of one published pickle."""
    content = read_pickle(path)
    images, labels = _field(content, "data", path), _field(content, "labels", path)
    try:
        images, labels = np.asarray(images), np.asarray(labels, dtype=np.int64)
    except (TypeError, ValueError, OverflowError):
        raise UserError(f"{path} is damaged: its labels are not numbers; fetch the dataset again") from None
    if images.dtype != np.uint8 or images.ndim != 2 or images.shape[1] != 3072 or labels.shape != images.shape[:1]:
        raise UserError(f"{path} is damaged: expected uint8 images of 3072 values with a label each; "
                        "fetch the dataset again")
    if len(labels) == 0 or labels.min() < 0 or labels.max() >= num_classes:
        raise UserError(f"{path} is damaged: labels are missing or outside 0 to {num_classes - 1}; "
                        "fetch the dataset again")
    return images, labels.astype(np.uint8)


class _ArraysOnly(pickle.Unpickler):
    """Admits NumPy arrays, strings, numbers, lists and dicts, and nothing that could run code."""

    admitted = frozenset({("numpy", "ndarray"), ("numpy", "dtype"), ("_codecs", "encode"),
                          ("numpy.core.multiarray", "_reconstruct"), ("numpy._core.multiarray", "_reconstruct")})

    def find_class(self, module, name):
        if (module, name) in self.admitted:
            return super().find_class(module.replace("numpy._core", "numpy.core"), name)
        raise UserError(f"it asks for {module}.{name}, which no dataset needs")


def read_pickle(path: Path):
    """The contents of a pickle of arrays; `UserError` when it is damaged or wants anything else."""
    try:
        with open(path, "rb") as file:
            return _ArraysOnly(file, encoding="latin1").load()
    except UserError as error:
        raise UserError(f"{path} is refused: {error}") from None
    except Exception as error:  # a damaged pickle can fail in any of the constructors it calls
        raise UserError(f"{path} is damaged or no pickle ({type(error).__name__}): fetch the dataset again") from None


def _field(content, name: str, path: Path):
    for key in (name, name.encode()):
        if isinstance(content, dict) and key in content:
            return content[key]
    raise UserError(f"{path} has no field {name!r}: it is not one of CIFAR-10's files")


DATASETS = {"digits": Digits, "cifar10": Cifar10}
