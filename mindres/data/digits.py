"""The handwritten digits that come with scikit-learn."""

from __future__ import annotations

import numpy as np
from mindspore import dataset as ds

from mindres.data.dataset import ImageDataset


class Digits(ImageDataset):
    """The 1,797 handwritten digits of scikit-learn, which need no download.

    The 8x8 grey images are enlarged to `resize` and repeated over three channels. "train" has 1,437
    and "test" 360 images, always the same, with the classes in proportion. Source: E. Alpaydin,
    C. Kaynak, Optical Recognition of Handwritten Digits, UCI Machine Learning Repository, 1998 (its
    test part).
    """

    mean = (0.3053,) * 3
    std = (0.3760,) * 3
    native_size = (8, 8)
    shift = 1  # not mirrored, since a mirrored digit is another sign
    classes = tuple("0123456789")

    def prepare(self):
        from sklearn.datasets import load_digits
        from sklearn.model_selection import train_test_split

        digits = load_digits()
        images = np.rint(digits.images * (255 / 16)).astype(np.uint8)
        train, test = train_test_split(
            np.arange(len(images)), test_size=360, stratify=digits.target, random_state=0
        )
        chosen = test if self.split == "test" else train
        colour = np.repeat(images[chosen, ..., None], 3, axis=3)
        self.arrays = (colour, digits.target[chosen].astype(np.int32))

    def labels(self):
        return self.arrays[1]

    def files(self):
        return []

    def source(self, sampler):
        return ds.NumpySlicesDataset(
            self.arrays, ["image", "label"], sampler=sampler, num_parallel_workers=1
        )

    def download(self):
        """Do nothing: there is nothing to download."""
