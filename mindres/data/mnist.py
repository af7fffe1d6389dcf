"""MNIST and Fashion-MNIST in their published idx files."""

from __future__ import annotations

from pathlib import Path

from mindspore import dataset as ds
from mindspore.dataset import transforms, vision

from mindres import addresses, download, files
from mindres.data.dataset import ImageDataset
from mindres.data.idx import check_idx, find_idx, unpack_together
from mindres.errors import UserError


class Mnist(ImageDataset):
    """MNIST: 60,000 training and 10,000 test digits, 28x28 grey (LeCun et al., 1998, III.A).

    `path` holds the four published idx files, with or without `.gz`, or one of `folders` with them.
    With `channels=3` the grey value is repeated, for networks that take colour images.
    """

    mean = (0.1307,)
    std = (0.3081,)
    classes = tuple("0123456789")
    channel_choices = (1, 3)
    native_size = (28, 28)
    shift = 2
    folders = ("mnist", "MNIST", "MNIST/raw")  # the last is torchvision's
    url = "https://ossci-datasets.s3.amazonaws.com/mnist/"
    # Of the packed files, as torchvision pins them.
    md5 = {
        "train-images-idx3-ubyte": "f68b3c2dcbeaaa9fbdd348bbdeb94873",
        "train-labels-idx1-ubyte": "d53e105ee54ea40749a09fcbcd1e9432",
        "t10k-images-idx3-ubyte": "9fb629c4189551a2d022fa330f9573f3",
        "t10k-labels-idx1-ubyte": "ec29112dd5afa0611ce80d1b7f02629c",
    }

    def prepare(self):
        self.existing_folder()
        stem = "t10k" if self.split == "test" else "train"
        found = [self._found(f"{stem}-{kind}-ubyte") for kind in ("images-idx3", "labels-idx1")]
        self._files = unpack_together(found)
        self._labels = check_idx(*self._files, len(self.classes))

    def labels(self):
        return self._labels

    def files(self):
        return self._files

    def source(self, sampler):
        return ds.MnistDataset(
            str(self._files[0].parent),
            "test" if self.split == "test" else "train",
            sampler=sampler,
            num_parallel_workers=self.num_parallel_workers,
        )

    def convert(self):
        if self.channels == 3:
            return [vision.ConvertColor(vision.ConvertMode.COLOR_GRAY2RGB)]
        return []

    def policy(self):
        operations = super().policy()
        if not operations or self.channels == 3:
            return operations
        # The operations need colour; grey images stay grey, so one of the channels suffices.
        return [
            vision.ConvertColor(vision.ConvertMode.COLOR_GRAY2RGB),
            *operations,
            transforms.Slice(*map(slice, self.native_size), [0]),
        ]

    def download(self):
        folder = files.make_folder(self._download_folder())
        for name, md5 in self.md5.items():
            if find_idx(self._folders(), name) is None:
                address = addresses.mirror_url(f"{self.url}{name}.gz")
                download.download(address, folder / f"{name}.gz", md5=md5)

    def _download_folder(self) -> Path:
        return self.path or Path("datasets")

    def _folders(self) -> list[Path]:
        """The folders that may hold the files."""
        return [self.path, *(self.path / name for name in self.folders)]

    def _found(self, name: str) -> Path:
        path = find_idx(self._folders(), name)
        if path is None:
            raise UserError(
                f"{self.path} holds no {name} or {name}.gz: correct `path`, or add `download`"
            )
        return path


class FashionMnist(Mnist):
    """Fashion-MNIST: 60,000 training and 10,000 test images of clothing (arXiv:1708.07747).

    They are 28x28 grey. The files have MNIST's names, so they must be in a folder of their own: one
    of `folders` in `path`, or `path` itself if "fashion" is part of its name.
    """

    # Of the training images: 0.28604, 0.35302 in github.com/adambielski/siamese-triplet.
    mean = (0.2860,)
    std = (0.3530,)
    classes = (
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    )
    mirrored = True
    folders = ("fashion-mnist", "FashionMNIST", "FashionMNIST/raw")
    url = "http://fashion-mnist.s3-website.eu-central-1.amazonaws.com/"
    # Of the packed files, as torchvision pins them.
    md5 = {
        "train-images-idx3-ubyte": "8d4fb7e6c68d591d4c3dfef9ec88bf0d",
        "train-labels-idx1-ubyte": "25c81989df183df01b3e8a0aad5dffbe",
        "t10k-images-idx3-ubyte": "bef4ecab320f06d8554ea6380940ec79",
        "t10k-labels-idx1-ubyte": "bb300cfdad3c16e7a12a480ee83cd310",
    }

    def _download_folder(self):
        folder = super()._download_folder()
        return folder if _is_fashions(folder) else folder / self.folders[0]

    def _folders(self):
        path, *own = super()._folders()
        return [path, *own] if _is_fashions(path) else own


def _is_fashions(folder: Path) -> bool:
    folder = folder.absolute()
    named = folder.parent if folder.name == "raw" else folder  # torchvision's FashionMNIST/raw
    return "fashion" in named.name.lower()
