"""SVHN, the house numbers of Google Street View, in its published MATLAB files."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from mindspore import dataset as ds

from mindres import addresses, download, files
from mindres.data import matlab
from mindres.data.dataset import ImageDataset
from mindres.errors import UserError

LARGEST_ARRAY = 300_000_000  # bytes: the training images are 73,257 x 3,072


class Svhn(ImageDataset):
    """SVHN: 73,257 training and 26,032 test images of digits, 32x32 (Netzer et al., 2011).

    `path` holds `train_32x32.mat` and `test_32x32.mat`, or a folder `svhn` or `SVHN` with them. In
    the files the digit 0 has the label 10; here it is 0. The 531,131 extra images are not used.
    """

    # Of the training images: deepobs/pytorch/datasets/svhn.py in github.com/fsschneider/DeepOBS.
    mean = (0.4377, 0.4438, 0.4728)
    std = (0.1980, 0.2010, 0.1970)
    classes = tuple("0123456789")
    native_size = (32, 32)
    shift = 4  # not mirrored, since a mirrored digit is another sign
    folders = ("svhn", "SVHN")
    url = "http://ufldl.stanford.edu/housenumbers/"
    # As torchvision pins them.
    md5 = {
        "train_32x32.mat": "e26dedcc434d2e4c54c9b2d4a06d8373",
        "test_32x32.mat": "eb5a983be6a315427106f1b164d9cef3",
    }

    def prepare(self):
        self.existing_folder()
        name = "test_32x32.mat" if self.split == "test" else "train_32x32.mat"
        path = self._locate(name)
        if path is None:
            raise UserError(f"{self.path} holds no {name}: correct `path`, or add `download`")
        self._files = [path]
        self._images, self._labels = read_svhn(path)

    def labels(self):
        return self._labels

    def files(self):
        return self._files

    def source(self, sampler):
        return ds.NumpySlicesDataset(
            (self._images, self._labels),
            ["image", "label"],
            sampler=sampler,
            num_parallel_workers=1,
        )

    def download(self):
        folder = files.make_folder(self.path or "datasets")
        for name, md5 in self.md5.items():
            if self._locate(name) is None:
                download.download(addresses.mirror_url(self.url + name), folder / name, md5=md5)

    def _locate(self, name: str) -> Path | None:
        candidates = [self.path / name, *(self.path / folder / name for folder in self.folders)]
        return next((path for path in candidates if path.is_file()), None)


def read_svhn(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """The images of a published file, uint8 (N, 32, 32, 3), and their labels, int32 (N,).

    Raises:
        UserError: the file is damaged or has other contents.
    """
    arrays = matlab.read_arrays(path, ("X", "y"), LARGEST_ARRAY)
    images, digits = arrays["X"], arrays["y"]
    sound = (
        images.dtype == np.uint8
        and images.ndim == 4
        and images.shape[:3] == (32, 32, 3)
        and digits.dtype.kind in "iuf"
        and digits.shape == (images.shape[3], 1)
        and len(digits) > 0
        and np.isin(digits, np.arange(1, 11)).all()
    )
    if not sound:
        raise UserError(
            f"{path} is not SVHN's: expected uint8 images X (32, 32, 3, N) and digits y (N, 1) "
            "from 1 to 10; download the data set again"
        )
    labels = digits[:, 0].astype(np.int32) % 10
    return np.ascontiguousarray(images.transpose(3, 0, 1, 2)), labels
