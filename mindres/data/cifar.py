"""CIFAR-10 and CIFAR-100 in both published layouts."""

from __future__ import annotations

import numpy as np
from mindspore import dataset as ds

from mindres import addresses, download, files
from mindres.data import cifar_records
from mindres.data.cifar_layouts import Layout, candidates, find_layout
from mindres.data.dataset import ImageDataset


class Cifar10(ImageDataset):
    """CIFAR-10: 50,000 training and 10,000 test images, 32x32, in ten classes (Krizhevsky, 2009).

    `path` is the published folder `cifar-10-batches-bin` or `cifar-10-batches-py`, a folder with
    one of them or its archive, or that folder's parent. Pickles are read once, by an unpickler that
    runs no code, and cached. "train" is augmented as in section 4.2 of the ResNet paper: padded by
    4 pixels, cropped at random, mirrored half of the time.
    """

    mean = (0.4914, 0.4822, 0.4465)
    std = (0.2023, 0.1994, 0.2010)
    mirrored = True
    native_size = (32, 32)
    shift = 4
    url = "https://www.cs.toronto.edu/~kriz/"
    # `download` fetches the first, which MindSpore's reader can read.
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
    format = cifar_records.Format("Cifar10", 10, ("labels",), "label_names")
    images_per_file = {"train": 10_000, "test": 10_000}
    reader = staticmethod(ds.Cifar10Dataset)

    def prepare(self):
        folder, layout = find_layout(self.existing_folder(), self.layouts, self.name)
        names = cifar_records.class_names(folder / layout.meta, layout.binary, self.format)
        self.classes = tuple(names)
        usage = self._usage()
        binaries = getattr(self.layouts[0], usage)
        if not layout.binary:
            pickled = getattr(layout, usage)
            folder = cifar_records.to_binary(folder, pickled, binaries, self.format)
        self._files = [folder / name for name in binaries]
        labels = [cifar_records.binary_labels(path, self.format) for path in self._files]
        self.published = all(len(part) == self.images_per_file[usage] for part in labels)
        self._labels = np.concatenate(labels)

    def labels(self):
        return self._labels

    def files(self):
        return self._files

    def source(self, sampler):
        if not self.published:
            # MindSpore's reader assumes the published number of images.
            images = cifar_records.binary_images(self._files, self.format)
            return ds.NumpySlicesDataset(
                (images, self._labels),
                ["image", "label"],
                sampler=sampler,
                num_parallel_workers=1,
            )
        return self.reader(
            str(self._files[0].parent),
            usage=self._usage(),
            sampler=sampler,
            num_parallel_workers=self.num_parallel_workers,
        )

    def download(self):
        layout = self.layouts[0]
        if self.path is None or candidates(self.path, self.layouts):
            return
        archive = files.make_folder(self.path) / layout.archive
        if not archive.exists():
            download.download(
                addresses.mirror_url(self.url + layout.archive), archive, md5=layout.md5
            )

    def _usage(self) -> str:
        """MindSpore's name of the files with the split."""
        return "test" if self.split == "test" else "train"


class Cifar100(Cifar10):
    """CIFAR-100: like CIFAR-10, with a hundred classes of 500 training and 100 test images.

    Labels are the fine ones. `path` is searched for `cifar-100-binary` and `cifar-100-python`.
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
    format = cifar_records.Format(
        "Cifar100", 100, ("coarse_labels", "fine_labels"), "fine_label_names"
    )
    images_per_file = {"train": 50_000, "test": 10_000}
    reader = staticmethod(ds.Cifar100Dataset)

    def source(self, sampler):
        data = super().source(sampler)
        if self.published:
            return data.rename("fine_label", "label").project(["image", "label"])
        return data
