"""MindIR files, which MindSpore loads."""

from __future__ import annotations

import mindspore
from mindspore import Tensor, nn


def require() -> None:
    """Do nothing: MindSpore is installed."""


def write(network, path, shape, metadata) -> None:
    """Write `network` without the metadata, which MindIR cannot hold."""
    images = Tensor(shape=(None, *shape), dtype=mindspore.float32)
    mindspore.export(network, images, file_name=str(path), file_format="MINDIR")


def load(path):
    """The function of a MindIR file, images (N, C, H, W) to logits."""
    network = nn.GraphCell(mindspore.load(str(path)))
    return lambda images: network(Tensor(images)).asnumpy()
