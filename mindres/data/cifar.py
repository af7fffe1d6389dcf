"""CIFAR-10 and CIFAR-100 in both published layouts."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mindspore import dataset as ds

from mindres import download, files
from mindres.data import archives
from mindres.data.dataset import ImageDataset
from mindres.data.pickles import read_pickle
from mindres.errors import UserError


class Layout(NamedTuple):
    """A published archive: its folder, name and MD5, and in it the file of class names and those of each split."""

    folder: str
    archive: str
    md5: str
    meta: str
    train: tuple[str, ...]
    test: tuple[str, ...]

    @property
    def binary(self) -> bool:
        return self.meta.endswith(".txt")


class Cifar10(ImageDataset):
    """CIFAR-10: 50,000 and 10,000 colour images of 32x32 pixels in ten classes (Krizhevsky, 2009).

    `path` is `cifar-10-batches-bin` (what the C++ reader takes) or `cifar-10-batches-py` as published, a folder
    that holds one of them or its archive, or that folder's parent. Pickles are read by an unpickler that runs
    nothing, once, into the user's cache; later runs start from there. "train" is augmented as in section 4.2
    of the ResNet paper: padded by 4 pixels, cropped at random, mirrored half the time.
    """

    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2023, 0.1994, 0.2010)
    mirrored = True
    native_size = (32, 32)
    shift = 4
    url = "https://www.cs.toronto.edu/~kriz/"
    # The C++ reader takes the first as it is, and `download` fetches it.
    layouts = (
        Layout(
            "cifar-10-batches-bin",
            "cifar-10-binary.tar.gz",
            "c32a1d4ab5d03f1284b67883e8d87530",
            "batches.meta.txt",
            tuple(f"data_batch_{i}.bin" for i in range(1, 6)),
            ("test_batch.bin",),
        ),
        Layout(
            "cifar-10-batches-py",
            "cifar-10-python.tar.gz",
            "c58f30108f718f92721af3b95e74349a",
            "batches.meta",
            tuple(f"data_batch_{i}" for i in range(1, 6)),
            ("test_batch",),
        ),
    )
    label_bytes = 1  # before the image in a binary record; the last of them is the class
    label_fields = ("labels",)
    names_field = "label_names"
    num_classes = 10
    file_images = {"train": 10_000, "test": 10_000}
    reader = staticmethod(ds.Cifar10Dataset)

    def prepare(self):
        if self.path is None:
            raise UserError(f"{self.name} needs the folder of its files (--dataset_path)")
        folder, layout = self._find()
        self.classes = tuple(self._class_names(folder / layout.meta, layout.binary))
        usage = "test" if self.split == "test" else "train"
        names, binaries = getattr(layout, usage), getattr(self.layouts[0], usage)
        folder = folder if layout.binary else self._converted(folder, names, binaries)
        self._files = [folder / name for name in binaries]
        labels = [self._check_binary(path) for path in self._files]
        self.published = all(len(part) == self.file_images[usage] for part in labels)
        self._labels = np.concatenate(labels)

    def labels(self):
        return self._labels

    def files(self):
        return self._files

    def source(self, sampler):
        if self.published:
            return self.reader(
                str(self._files[0].parent),
                usage="test" if self.split == "test" else "train",
                sampler=sampler,
                num_parallel_workers=self.num_parallel_workers,
            )
        # The C++ reader takes the published number of images from a file, whatever number it holds.
        records = np.concatenate([np.fromfile(path, np.uint8) for path in self._files])
        images = records.reshape(-1, self.label_bytes + 3072)[:, self.label_bytes :].reshape(
            -1, 3, 32, 32
        )
        return ds.NumpySlicesDataset(
            (images.transpose(0, 2, 3, 1), self._labels),
            ["image", "label"],
            sampler=sampler,
            num_parallel_workers=1,
        )

    def download(self):
        root, layout = self.path, self.layouts[0]
        if root and not self._candidates() and not (root / layout.archive).exists():
            download.download(
                download.mirrored(self.url + layout.archive),
                files.make_folder(root) / layout.archive,
                md5=layout.md5,
            )

    def _candidates(self) -> list[tuple[Path, Layout]]:
        """Where one of the layouts, or its archive, is; the one that the C++ reader takes comes first."""
        roots = [self.path]
        if self.path.is_dir():
            roots += sorted(p for p in self.path.iterdir() if p.is_dir())
        return [
            (folder, layout)
            for layout in self.layouts
            for root in roots
            for folder in [root if root.name == layout.folder else root / layout.folder]
            if folder.is_dir() or (folder.parent / layout.archive).is_file()
        ]

    def _find(self) -> tuple[Path, Layout]:
        if not self.path.exists():
            raise UserError(
                f"the dataset folder {self.path} does not exist: correct --dataset_path, or add --download"
            )
        found = self._candidates()
        if not found:
            raise UserError(
                f"{self.path} holds no {self.name}: expected {self.layouts[0].folder} or "
                f"{self.layouts[1].folder} in it; correct --dataset_path, or add --download"
            )
        problem = None
        for folder, layout in found:
            wanted = [layout.meta, *layout.train, *layout.test]
            lacking = [name for name in wanted if not (folder / name).is_file()]
            archive = folder.parent / layout.archive
            if lacking and archive.is_file():
                files.verify(archive, md5=layout.md5)
                archives.extract(archive, files.make_folder(folder), set(wanted))
                lacking = []
            if not lacking:
                return folder, layout
            problem = (
                problem
                or f"{folder} lacks {lacking[0]}: copy it there, or delete the folder and add --download"
            )
        raise UserError(problem)

    def _class_names(self, path: Path, binary: bool) -> list[str]:
        try:
            names = (
                path.read_text(encoding="utf-8").split()
                if binary
                else self._field(read_pickle(path), [self.names_field], path)
            )
        except (OSError, UnicodeDecodeError) as error:
            raise UserError(f"cannot read the class names in {path}: {error}") from None
        if (
            not isinstance(names, list)
            or len(names) != self.num_classes
            or not all(isinstance(name, (str, bytes)) for name in names)
        ):
            raise UserError(
                f"{path} does not name {self.num_classes} classes: it is not {self.name}'s"
            )
        return [n.decode("utf-8", "replace") if isinstance(n, bytes) else n for n in names]

    def _check_binary(self, path: Path) -> np.ndarray:
        """The labels of a binary file, once its length and they are seen to be right."""
        record = self.label_bytes + 3072
        try:
            size = path.stat().st_size
            whole = size and size % record == 0
            labels = (
                np.memmap(path, np.uint8, "r").reshape(-1, record)[:, self.label_bytes - 1]
                if whole
                else None
            )
        except OSError as error:
            raise UserError(f"cannot read {path}: {error.strerror}") from None
        if labels is None:
            raise UserError(
                f"{path} is truncated: {size:,} bytes are not a whole number of {record:,}-byte images; "
                "fetch the dataset again"
            )
        if labels.max() >= self.num_classes:
            raise UserError(
                f"{path} is damaged: it has the label {labels.max()} where {self.num_classes - 1} is the "
                "highest; fetch the dataset again"
            )
        return np.array(labels)

    def _converted(self, folder: Path, names, binaries) -> Path:
        """The pickles of `folder` in the binary layout, in the user's cache, made when they first are needed."""
        stats = [(folder / name).stat() for name in names]
        key = repr((str(folder.resolve()), [(s.st_size, s.st_mtime_ns) for s in stats]))
        target = files.cache_dir() / "datasets" / hashlib.sha256(key.encode()).hexdigest()[:16]
        for name, binary in zip(names, binaries):
            if not (target / binary).exists():
                images, labels = self._read_batch(folder / name)
                with files.replacing(target / binary) as part:
                    np.concatenate([labels, images], axis=1).tofile(part)
        return target

    def _read_batch(self, path: Path) -> tuple[np.ndarray, np.ndarray]:
        """uint8 images (N, 3072) and labels (N, label_bytes) of one published pickle."""
        content = read_pickle(path)
        images = self._field(content, ["data"], path)
        damaged = UserError(
            f"{path} is damaged: expected uint8 images of 3072 values with a label from 0 to "
            f"{self.num_classes - 1} each; fetch the dataset again"
        )
        columns = [self._field(content, [name], path) for name in self.label_fields]
        # Nothing else is made an array of: a list of lists of the same lists could fill any memory.
        if not isinstance(images, np.ndarray) or not all(map(_is_whole_numbers, columns)):
            raise damaged
        try:
            labels = np.stack([np.asarray(column, np.int64) for column in columns], axis=1)
        except (TypeError, ValueError, OverflowError):
            raise damaged from None
        if (
            images.dtype != np.uint8
            or images.ndim != 2
            or images.shape[1] != 3072
            or len(labels) != len(images)
            or labels.ndim != 2
            or not len(labels)
            or labels.min() < 0
            or labels.max() >= self.num_classes
        ):
            raise damaged
        return images, labels.astype(np.uint8)

    def _field(self, content, names, path: Path):
        for key in (key for name in names for key in (name, name.encode())):
            if isinstance(content, dict) and key in content:
                return content[key]
        raise UserError(f"{path} has no field {names[0]!r}: it is not one of {self.name}'s files")


class Cifar100(Cifar10):
    """CIFAR-100: as CIFAR-10, in a hundred classes of 500 and 100 images; the label is the fine one.

    `path` is searched for `cifar-100-binary` and `cifar-100-python`.
    """

    mean = (0.5071, 0.4865, 0.4409)
    std = (0.2673, 0.2564, 0.2762)
    layouts = (
        Layout(
            "cifar-100-binary",
            "cifar-100-binary.tar.gz",
            "03b5dce01913d631647c71ecec9e9cb8",
            "fine_label_names.txt",
            ("train.bin",),
            ("test.bin",),
        ),
        Layout(
            "cifar-100-python",
            "cifar-100-python.tar.gz",
            "eb9058c3a382ffc7106e4002c42a8d85",
            "meta",
            ("train",),
            ("test",),
        ),
    )
    label_bytes = 2
    label_fields = ("coarse_labels", "fine_labels")
    names_field = "fine_label_names"
    num_classes = 100
    file_images = {"train": 50_000, "test": 10_000}
    reader = staticmethod(ds.Cifar100Dataset)

    def source(self, sampler):
        data = super().source(sampler)
        return (
            data.rename("fine_label", "label").project(["image", "label"])
            if self.published
            else data
        )


def _is_whole_numbers(column):
    return (
        column.dtype.kind in "iu"
        if isinstance(column, np.ndarray)
        else isinstance(column, list) and all(isinstance(value, int) for value in column)
    )
