"""The pipelines that the CPU benchmark compares, on CIFAR-10 files of random images.

Each shifts by up to 4 pixels, mirrors and normalises, with two workers.
"""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np

IMAGES = 50_000  # for training in the files, as published
SIDES = ("mindres", "MindVision", "PyTorch")


def write_cifar10(folder: Path, key) -> None:
    """Write CIFAR-10's files with random images.

    `key` converts a string to a key: the published keys are byte strings, but some programs expect
    text.
    """
    folder.mkdir(parents=True)
    random, count = np.random.default_rng(0), IMAGES // 5
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        batch = {
            "data": random.integers(0, 256, (count, 3072), np.uint8),
            "labels": random.integers(0, 10, count).tolist(),
        }
        (folder / name).write_bytes(
            pickle.dumps({key(field): value for field, value in batch.items()}, 2)
        )
    names = {key("label_names"): [key(f"class {i}") for i in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names, 2))


def pipeline(side: str, size: int, batch: int, folder: str):
    """A function that reads an epoch and returns the number of images."""
    if side == "PyTorch":
        loader = torch_loader(Path(folder, "bytes", "cifar-10-batches-py"), batch)
        return lambda: sum(len(labels) for _, labels in loader)
    if side == "mindres":
        from mindres.data.cifar import Cifar10

        data = Cifar10(
            Path(folder, "bytes"),
            split="train",
            batch_size=batch,
            resize=size,
            num_parallel_workers=2,
        )
    else:
        import mindres  # noqa: F401  # isort: skip  lets MindVision be imported
        import mindspore.dataset.vision as vision
        from mindvision.classification.dataset import Cifar10

        transform = [
            vision.RandomCrop(size, (4, 4, 4, 4)),
            vision.RandomHorizontalFlip(),
            vision.Rescale(1 / 255, 0),
            vision.Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
            vision.HWC2CHW(),
        ]
        data = Cifar10(
            str(Path(folder, "text")),
            split="train",
            batch_size=batch,
            resize=size,
            transform=transform,
            num_parallel_workers=2,
        )
    iterator = data.run().create_tuple_iterator(num_epochs=-1, output_numpy=True)
    return lambda: sum(len(labels) for _, labels in iterator)


def torch_loader(path: Path, batch: int):
    import torch

    class Cifar(torch.utils.data.Dataset):
        def __init__(self):
            batches = [
                pickle.loads((path / f"data_batch_{i}").read_bytes(), encoding="bytes")
                for i in range(1, 6)
            ]
            self.images = torch.from_numpy(
                np.concatenate([b[b"data"] for b in batches]).reshape(-1, 3, 32, 32)
            )
            self.labels = np.concatenate([b[b"labels"] for b in batches])
            self.mean = torch.tensor((0.4914, 0.4822, 0.4465))[:, None, None]
            self.std = torch.tensor((0.2023, 0.1994, 0.2010))[:, None, None]

        def __len__(self):
            return len(self.labels)

        def __getitem__(self, i):
            image = torch.nn.functional.pad(self.images[i], (4, 4, 4, 4))
            top, left, mirror = torch.randint(9, ()), torch.randint(9, ()), torch.rand(()) < 0.5
            image = image[:, top : top + 32, left : left + 32]
            return ((image.flip(2) if mirror else image) / 255 - self.mean) / self.std, int(
                self.labels[i]
            )

    return torch.utils.data.DataLoader(
        Cifar(), batch, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True
    )
