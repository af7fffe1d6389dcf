"""The datasets by name: scikit-learn's digits, MNIST, CIFAR, and the user's own folder of images."""

from __future__ import annotations

import gzip
import hashlib
import json
import shutil
import struct
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from mindspore import dataset as ds
from mindspore.dataset import vision
from PIL import Image
from tqdm import tqdm

from mindres import files
from mindres.cifar import Cifar10, Cifar100
from mindres.errors import UserError
from mindres.pipeline import ImageDataset

__all__ = ["DATASETS", "Cifar10", "Cifar100", "Digits", "ImageDataset", "ImageFolder", "Mnist"]

IMAGE_SUFFIXES = (".jpg", ".jpeg", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff")


class Digits(ImageDataset):
    """The 1,797 handwritten digits that scikit-learn carries, so that nothing need be fetched.

    8x8 grey images, enlarged to `resize` and repeated over three channels: 1,437 for "train" and 360 for
    "test", split once and for all with the classes in proportion. Source: E. Alpaydin, C. Kaynak, Optical
    Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998 (its test part).
    """

    mean = (0.3053,) * 3
    std = (0.3760,) * 3
    classes = tuple("0123456789")

    def prepare(self):
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
        parts = train_test_split(images, digits.target, test_size=360, stratify=digits.target, random_state=0)
        images, labels = parts[self.split == "test"], parts[2 + (self.split == "test")]
        self.arrays = np.repeat(images[..., None], 3, axis=3), labels.astype(np.int32)

    def labels(self):
        return self.arrays[1]

    def files(self):
        return []

    def source(self, sampler):
        return ds.NumpySlicesDataset(self.arrays, ["image", "label"], sampler=sampler, num_parallel_workers=1)

    def augmentation(self):
        # A digit has a left and a right: it is shifted, never mirrored.
        return [vision.RandomCrop(8, 1)]

    def download(self):
        """Nothing to fetch."""


class Mnist(ImageDataset):
    """MNIST: 60,000 and 10,000 handwritten digits of 28x28 grey pixels (LeCun et al., 1998, section III.A).

    `path` holds the four published idx files, packed (`.gz`) or not, or a folder `mnist` or `MNIST` with them.

    Args:
        channels: 1, or 3 to repeat the grey value for networks that take colour images.
    """

    mean = (0.1307,)
    std = (0.3081,)
    native_size = (28, 28)
    classes = tuple("0123456789")
    url = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    # Of the packed files, as torchvision pins them.
    md5 = {"train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
           "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
           "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
           "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c"}

    def __init__(self, path=None, split="train", *args, channels=1, **options):
        if channels not in (1, 3):
            raise UserError(f"MNIST's images have 1 channel, or 3 by repetition, not {channels}")
        self.channels = channels
        self.mean, self.std = type(self).mean * channels, type(self).std * channels
        super().__init__(path, split, *args, **options)

    def prepare(self):
        if self.path is None or not self.path.is_dir():
            raise UserError(f"the dataset folder {self.path} does not exist: correct --dataset_path, or add --download")
        stem = "t10k" if self.split == "test" else "train"
        images = self._unpacked(f"{stem}-images-idx3-ubyte")
        labels = self._unpacked(f"{stem}-labels-idx1-ubyte")
        self._labels = _check_idx(images, labels)
        self.folder, self._files = images.parent, [images, labels]
        if labels.parent != self.folder:
            raise UserError(f"{images} and {labels} must lie in one folder, both packed or both not")

    def labels(self):
        return self._labels

    def files(self):
        return self._files

    def source(self, sampler):
        return ds.MnistDataset(str(self.folder), "test" if self.split == "test" else "train", sampler=sampler,
                               num_parallel_workers=self.num_parallel_workers)

    def augmentation(self):
        return [vision.RandomCrop(28, 2)]

    def default_transform(self):
        color = [vision.ConvertColor(vision.ConvertMode.COLOR_GRAY2RGB)] if self.channels == 3 else []
        return color + super().default_transform()

    def download(self):
        folder = files.make_folder(self.path or "datasets")
        for name, md5 in self.md5.items():
            if self._locate(name) is None:
                files.download(files.mirrored(f"{self.url}{name}.gz"), folder / f"{name}.gz", md5=md5)

    def _locate(self, name: str) -> Path | None:
        return next((path for folder in (self.path, self.path / "mnist", self.path / "MNIST")
                     for path in (folder / name, folder / f"{name}.gz") if path.is_file()), None)

    def _unpacked(self, name: str) -> Path:
        path = self._locate(name)
        if path is None:
            raise UserError(f"{self.path} holds no {name} or {name}.gz: correct --dataset_path, or add --download")
        if path.suffix != ".gz":
            return path
        stat = path.stat()
        key = hashlib.sha256(repr((str(path.parent.resolve()), stat.st_mtime_ns // 10**9)).encode()).hexdigest()[:16]
        target = files.cache_dir() / "datasets" / key / name
        if not target.exists():
            try:
                with gzip.open(path) as packed, files.replacing(target) as part, open(part, "wb") as out:
                    shutil.copyfileobj(packed, out)
            except (EOFError, gzip.BadGzipFile, OSError) as error:
                raise UserError(f"{path} is damaged: {error}; fetch the dataset again") from None
        return target


def _check_idx(images: Path, labels: Path) -> np.ndarray:
    """The labels, once the headers of both files are seen to promise what the files hold."""
    counts = {}
    for path, magic, header, item in ((images, 2051, 16, 28 * 28), (labels, 2049, 8, 1)):
        with open(path, "rb") as file:
            head = file.read(header)
        expected = struct.unpack(">II", head[:8]) if len(head) == header else (0, 0)
        if expected[0] != magic or path.stat().st_size != header + expected[1] * item or not expected[1]:
            raise UserError(f"{path} is damaged or no idx file of MNIST: fetch the dataset again")
        counts[path] = expected[1]
    found = np.fromfile(labels, np.uint8, offset=8)
    if counts[images] != counts[labels] or found.max() > 9:
        raise UserError(f"{labels} does not fit {images}: fetch the dataset again")
    return found


class ImageFolder(ImageDataset):
    """The user's own images: `train/<class>/*.jpg` with `val/` or `test/` beside it, or `<class>/*.jpg` alone.

    A single tree is split by `validation_fraction` (0.2 where it is not given), each class in proportion. Without
    one of `val` and `test` the other stands in for it. Every file is opened once before training, and the result
    is kept in the user's cache; a broken image is named.

    Args:
        skip_broken: leave broken images out, and say how many.
    """

    # ImageNet's, which published weights were trained with.
    mean = (0.485, 0.456, 0.406)
    std = (0.229, 0.224, 0.225)
    mirrored = True
    crop_fraction = 0.875  # torchvision's and timm's: 224 of 256

    def __init__(self, path=None, split="train", *args, skip_broken=False, **options):
        self.skip_broken = skip_broken
        super().__init__(path, split, *args, **options)

    def prepare(self):
        if self.path is None or not self.path.is_dir():
            raise UserError(f"the dataset folder {self.path} does not exist: correct --dataset_path")
        self.split_folders = (self.path / "train").is_dir()
        if self.split_folders:
            order = {"train": ["train"], "val": ["val", "validation", "valid", "test"],
                     "test": ["test", "val", "validation", "valid"]}[self.split]
            if self.split == "val" and self.validation_fraction:
                order = ["train"]
            found = [self.path / name for name in order if (self.path / name).is_dir()]
            if not found:
                raise UserError(f"{self.path} has train/ but neither val/ nor test/: add one of them")
            folder, names = found[0], self.path / "train"
        else:
            folder = names = self.path
            self.validation_fraction = self.validation_fraction or 0.2
        self.classes = tuple(sorted(p.name for p in names.iterdir() if p.is_dir() and not p.name.startswith(".")))
        if len(self.classes) < 2:
            raise UserError(f"{names} holds {len(self.classes)} class folders, and at least two are needed: "
                            "expected train/<class>/*.jpg or <class>/*.jpg")
        if strangers := sorted({p.name for p in folder.iterdir() if p.is_dir()
                                and not p.name.startswith(".")} - set(self.classes)):
            raise UserError(f"{folder} has the class {strangers[0]!r}, which {names} does not have")
        self.images = [(path, label) for label, name in enumerate(self.classes)
                       for path in sorted((folder / name).rglob("*")) if path.suffix.lower() in IMAGE_SUFFIXES]
        self.images = [self.images[i] for i in self._sound()]
        if not self.images:
            raise UserError(f"{folder} holds no images ({', '.join(IMAGE_SUFFIXES)}) in its class folders")

    def indices(self):
        if self.split_folders:
            return super().indices() if self.validation_fraction else None
        # One tree: what is not trained on is for "val" and "test" alike.
        split, self.split = self.split, "train" if self.split == "train" else "val"
        try:
            return super().indices()
        finally:
            self.split = split

    def labels(self):
        return np.array([label for _, label in self.images])

    def files(self):
        return [path for path, _ in self.images]

    def source(self, sampler):
        names = [str(i) for i in range(len(self.classes))]
        lines = [json.dumps({"source": str(path.absolute()), "usage": "train", "annotation": [{"name": names[label]}]})
                 for path, label in self.images]
        manifest = self._cache_file("manifest", lines)
        with files.replacing(manifest) as part:
            part.write_text("\n".join(lines) + "\n", encoding="utf-8")
        return ds.ManifestDataset(str(manifest), "train", class_indexing={n: int(n) for n in names}, decode=True,
                                  sampler=sampler, num_parallel_workers=self.num_parallel_workers)

    def augmentation(self):
        return [vision.RandomResizedCrop(self.resize, scale=(0.35, 1.0), interpolation=vision.Inter.BICUBIC),
                vision.RandomHorizontalFlip()]

    def fit(self):
        if self.augment:
            return []  # RandomResizedCrop has done it
        edge = round(min(self.resize) / self.crop_fraction)
        return [vision.Resize(edge, vision.Inter.BICUBIC), vision.CenterCrop(self.resize)]

    def _cache_file(self, kind: str, content) -> Path:
        key = hashlib.sha256(repr((str(self.path.resolve()), content)).encode()).hexdigest()[:16]
        return files.cache_dir() / "datasets" / f"{key}.{kind}"

    def _sound(self) -> list[int]:
        """Positions of the images that can be decoded; raises or counts for the others."""
        stats = [(str(path), path.stat().st_size, path.stat().st_mtime_ns) for path, _ in self.images]
        known = self._cache_file("broken.json", stats)
        if known.exists():
            broken = json.loads(known.read_text())
        else:
            with ThreadPoolExecutor() as pool:
                results = tqdm(pool.map(_problem, [path for path, _ in self.images]), total=len(self.images),
                               desc="checking images", unit="image", disable=None, leave=False)
                broken = {str(i): problem for i, problem in enumerate(results) if problem}
            with files.replacing(known) as part:
                part.write_text(json.dumps(broken))
        if broken and not self.skip_broken:
            first = self.images[int(next(iter(broken)))][0]
            more = f" (and {len(broken) - 1} more)" if len(broken) > 1 else ""
            raise UserError(f"{first}{more} cannot be read: {next(iter(broken.values()))}; delete it, "
                            "or leave broken images out with --skip_broken")
        if broken:
            print(f"{len(broken)} broken images of {len(self.images)} are left out", flush=True)
        return [i for i in range(len(self.images)) if str(i) not in broken]


def _problem(path: Path) -> str | None:
    try:
        with Image.open(path) as image:
            # For JPEG an eighth of the size in each direction, which still reads the file to its end.
            image.draft("RGB", (1, 1))
            image.load()
    except Exception as error:  # Pillow's decoders raise what the damaged field happens to cause
        return f"{type(error).__name__}: {error}"
    return None


DATASETS = {"digits": Digits, "cifar10": Cifar10, "cifar100": Cifar100, "mnist": Mnist, "folder": ImageFolder}
