"""MindIR files, which MindSpore loads, and MindSpore Lite converts.

What they do not have: int8, and an input of images in a batch where the file takes whole images.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops

from mindres import __version__
from mindres.data.as_trained import shorter_side
from mindres.export.mindspore_graph import MindSporeGraph
from mindres.export.preprocessing import preparation
from mindres.export.tensors import IMAGE
from mindres.weights.metadata import Metadata


def require() -> None:
    """Do nothing: MindSpore is installed."""


def write(network, path, shape, metadata) -> None:
    """Write `network`."""
    _export(network, Tensor(shape=(None, *shape), dtype=mindspore.float32), path, metadata)


def load(path):
    """The function of a MindIR file, images (N, C, H, W) to logits."""
    network = nn.GraphCell(mindspore.load(str(path)))
    return lambda images: network(Tensor(images)).asnumpy()


def write_end_to_end(network, path, metadata) -> None:
    """Write `network` with the preparation of an image and softmax."""
    _export(EndToEnd(network, metadata), _any_image(), path, metadata)


class EndToEnd(nn.Cell):
    """A network from `image`, uint8 RGB (H, W, 3) of any size, to probabilities (classes)."""

    def __init__(self, network, metadata: Metadata):
        super().__init__(auto_prefix=False)
        self.prepare = MindSporeGraph(preparation(metadata, shorter_side(metadata)), IMAGE)
        self.network = network
        self.temperature = metadata.temperature
        self.softmax = ops.Softmax(-1)

    def construct(self, image):
        logits = self.network(self.prepare(image))
        return self.softmax(logits / self.temperature)[0]


class EndToEndFile:
    """The network of an end-to-end MindIR file, as `runtime.EndToEndFile`."""

    name = "MindIR float32"

    def __init__(self, path):
        self.bytes = Path(path).stat().st_size
        self._network = nn.GraphCell(mindspore.load(str(path)))
        self._network.set_inputs(_any_image())  # else it is compiled for each size of images

    def answer_all(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """The probabilities (N, classes) of images (H, W, 3), which may differ in size."""
        return np.stack([self.answer(image) for image in images])

    def answer(self, image: np.ndarray) -> np.ndarray:
        """The probabilities (classes) of an image (H, W, 3)."""
        return self._network(Tensor(image)).asnumpy()


def load_end_to_end(path) -> EndToEndFile:
    """The function of an end-to-end file."""
    return EndToEndFile(path)


def _any_image() -> Tensor:
    return Tensor(shape=(None, None, 3), dtype=mindspore.uint8)


def _export(network, given: Tensor, path, metadata: Metadata) -> None:
    """Write a file with the metadata as JSON values in `user_info`, which MindSpore Lite reads."""

    def describe(model) -> None:
        model.producer_name = "mindres"
        model.producer_version = __version__
        for name, value in metadata.for_use().items():
            model.user_info[name] = json.dumps(value)

    mindspore.export(
        network, given, file_name=str(path), file_format="MINDIR", custom_func=describe
    )
