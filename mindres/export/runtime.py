"""Runs a file of `mindres export --end_to_end` with ONNX Runtime, without MindSpore."""

from __future__ import annotations

import copy
import functools
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mindres.errors import UserError
from mindres.export.tensors import BATCH_PROBABILITIES, IMAGE, INPUT, PROBABILITIES
from mindres.signals import deferred_signals


class EndToEndFile:
    """An end-to-end ONNX file, which takes whole images.

    Its two halves run separately: each image is prepared by itself, since images differ in size,
    and then the network processes them as a batch. Several threads may call it at the same time.

    Attributes:
        name, bytes: the file's name and size in the table of an export.
        metadata: the file's metadata: `classes`, `architecture`, `mean`, `std` and more.
        classes: the names of the classes, or their numbers if names are not known.

    Raises:
        UserError: the file cannot be read, was not exported with --end_to_end, or a package is
            missing.
    """

    def __init__(self, path, threads: int = 0):
        """Load the file `path`; ONNX Runtime uses `threads` for the network, 0 for one per core."""
        self._path, self._threads = Path(path), threads
        model = _read(self._path)
        kinds = {node.op_type for node in model.graph.node}
        self.name = "ONNX int8" if "QuantizeLinear" in kinds else "ONNX float32"
        self.bytes = model.ByteSize()
        self.metadata = {each.key: json.loads(each.value) for each in model.metadata_props}
        prepare, network = _halves(model)
        # Small: a thread of its own for each image is faster than several threads for one.
        self._prepare = _session(prepare, 1)
        self._network = _session(network, threads)
        count = self._network.get_outputs()[0].shape[1]
        self.classes = [str(name) for name in self.metadata.get("classes") or range(count)]

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """The network's input, float32 (C, h, w), for a uint8 RGB image (H, W, 3)."""
        return self._prepare.run(None, {IMAGE: image})[0][0]

    def probabilities(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """The probabilities, float32 (N, classes), of N prepared images."""
        return self._network.run(None, {INPUT: np.stack(prepared)})[0]

    def answer_all(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """The probabilities (N, classes) of images (H, W, 3), which may differ in size."""
        return self.probabilities([self.prepare(image) for image in images])

    def answer(self, image: np.ndarray) -> np.ndarray:
        """The probabilities (classes) of an image (H, W, 3), by the file as a whole.

        The first call loads the file again.
        """
        return self._whole.run(None, {IMAGE: image})[0]

    @functools.cached_property
    def _whole(self):
        return _session(_read(self._path), self._threads)


def _read(path: Path):
    """The model of an end-to-end ONNX file."""
    try:
        with deferred_signals():  # Ctrl-C during the import could become an ImportError
            import onnx
            import onnxruntime  # noqa: F401
    except ImportError as error:
        raise UserError(
            f"ONNX files need the package {error.name}: pip install onnx onnxruntime"
        ) from None
    try:
        model = onnx.load(path)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    except Exception:  # protobuf raises several classes
        raise UserError(f"{path} is damaged or not an ONNX file") from None
    ends = [each.name for each in (*model.graph.input, *model.graph.output)]
    if ends != [IMAGE, PROBABILITIES]:
        raise UserError(
            f"{path} does not take whole images: write it with mindres export --end_to_end"
        )
    return model


def _halves(model):
    """The models of `image` to `input`, for one image, and `input` to `batch_probabilities`."""
    inside = {each.name: each for each in model.graph.value_info}
    made = [name for node in model.graph.node for name in node.output[:1]]
    end, stop = made.index(INPUT) + 1, made.index(BATCH_PROBABILITIES) + 1
    prepare, network = copy.deepcopy(model), copy.deepcopy(model)
    del prepare.graph.node[end:], prepare.graph.output[:]
    prepare.graph.output.append(inside[INPUT])
    del network.graph.node[stop:], network.graph.node[:end]
    del network.graph.input[:], network.graph.output[:]
    network.graph.input.append(inside[INPUT])
    network.graph.output.append(inside[BATCH_PROBABILITIES])
    del network.graph.value_info[:]  # the shapes for one image
    for tensor in (network.graph.input[0], network.graph.output[0]):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    return prepare, network


def _session(model, threads: int):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    try:
        return onnxruntime.InferenceSession(
            model.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # ONNX Runtime raises several classes
        reason = str(error).splitlines()[0]
        raise UserError(f"ONNX Runtime cannot load the file: {reason}") from None
