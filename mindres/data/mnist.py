"""MNIST in its published idx files."""

from __future__ import annotations

import gzip
import hashlib
import struct
import zlib
from pathlib import Path

import numpy as np
from mindspore import dataset as ds
from mindspore.dataset import transforms, vision

from mindres import download, files
from mindres.data import archives
from mindres.data.dataset import ImageDataset
from mindres.errors import UserError


class Mnist(ImageDataset):
    """MNIST: 60,000 and 10,000 handwritten digits of 28x28 grey pixels (LeCun et al., 1998, section III.A).

    `path` holds the four published idx files, packed (`.gz`) or not, or a folder `mnist` or `MNIST` with them.
    With `channels=3` the grey value is repeated, for networks that take colour images.
    """

    mean = (0.1307,)
    std = (0.3081,)
    native_size = (28, 28)
    channel_choices = (1, 3)
    shift = 2
    classes = tuple("0123456789")
    url = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    # Of the packed files, as torchvision pins them.
    md5 = {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    }

    def prepare(self):
        if self.path is None or not self.path.is_dir():
            raise UserError(
                f"the dataset folder {self.path} does not exist: correct --dataset_path, or add --download"
            )
        stem = "t10k" if self.split == "test" else "train"
        images, labels = self._unpacked(
            [self._found(f"{stem}-images-idx3-ubyte"), self._found(f"{stem}-labels-idx1-ubyte")]
        )
        self._labels = _check_idx(images, labels)
        self.folder, self._files = images.parent, [images, labels]

    def labels(self):
        return self._labels

    def files(self):
        return self._files

    def source(self, sampler):
        return ds.MnistDataset(
            str(self.folder),
            "test" if self.split == "test" else "train",
            sampler=sampler,
            num_parallel_workers=self.num_parallel_workers,
        )

    def default_transform(self):
        operations = super().default_transform()
        if self.channels == 3:
            return [vision.ConvertColor(vision.ConvertMode.COLOR_GRAY2RGB), *operations]
        return operations

    def policy(self):
        operations = super().policy()
        if not operations or self.channels == 3:
            return operations
        # They take colour; grey stays grey, so that one of the three channels says it all.
        return [
            vision.ConvertColor(vision.ConvertMode.COLOR_GRAY2RGB),
            *operations,
            transforms.Slice(*map(slice, self.native_size), [0]),
        ]

    def download(self):
        folder = files.make_folder(self.path or "datasets")
        for name, md5 in self.md5.items():
            if self._locate(name) is None:
                download.download(
                    download.mirrored(f"{self.url}{name}.gz"), folder / f"{name}.gz", md5=md5
                )

    def _locate(self, name: str) -> Path | None:
        return next(
            (
                path
                for folder in (self.path, self.path / "mnist", self.path / "MNIST")
                for path in (folder / name, folder / f"{name}.gz")
                if path.is_file()
            ),
            None,
        )

    def _found(self, name: str) -> Path:
        path = self._locate(name)
        if path is None:
            raise UserError(
                f"{self.path} holds no {name} or {name}.gz: correct --dataset_path, or add --download"
            )
        return path

    def _unpacked(self, paths: list[Path]) -> list[Path]:
        """These files as they are, or unpacked side by side in the user's cache: MindSpore wants them in one folder."""
        if all(path.suffix != ".gz" and path.parent == paths[0].parent for path in paths):
            return paths
        stats = [
            (str(path.resolve()), path.stat().st_size, path.stat().st_mtime_ns) for path in paths
        ]
        folder = (
            files.cache_dir() / "datasets" / hashlib.sha256(repr(stats).encode()).hexdigest()[:16]
        )
        targets = [folder / path.name.removesuffix(".gz") for path in paths]
        for path, target in zip(paths, targets):
            if not target.exists():
                with (
                    files.replacing(target) as part,
                    open(part, "wb") as out,
                    (gzip.open if path.suffix == ".gz" else open)(path, "rb") as packed,
                ):
                    try:
                        archives.copy(packed, out)
                    except (EOFError, gzip.BadGzipFile, zlib.error, ValueError) as error:
                        raise UserError(
                            f"{path} is damaged: {error}; fetch the dataset again"
                        ) from None
        return targets


def _check_idx(images: Path, labels: Path) -> np.ndarray:
    """The labels, once the headers of both files are seen to promise what the files hold."""
    counts = {}
    for path, magic, header, item in ((images, 2051, 16, 28 * 28), (labels, 2049, 8, 1)):
        with open(path, "rb") as file:
            head = file.read(header)
        expected = struct.unpack(">II", head[:8]) if len(head) == header else (0, 0)
        if (
            expected[0] != magic
            or path.stat().st_size != header + expected[1] * item
            or not expected[1]
        ):
            raise UserError(f"{path} is damaged or no idx file of MNIST: fetch the dataset again")
        counts[path] = expected[1]
    found = np.fromfile(labels, np.uint8, offset=8)
    if counts[images] != counts[labels] or found.max() > 9:
        raise UserError(f"{labels} does not fit {images}: fetch the dataset again")
    return found
