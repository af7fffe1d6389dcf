"""OpenVINO files: an .xml file with the network, and beside it a .bin file with its weights.

On processors with instructions for bfloat16, OpenVINO computes in bfloat16 by default, the
preparation of images too. Compile a whole file with `INFERENCE_PRECISION_HINT: "f32"`; for
bfloat16, compile its halves separately, as `EndToEndFile` does.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mindres.devices import cpu
from mindres.errors import UserError
from mindres.export import onnx
from mindres.export.tensors import BATCH_PROBABILITIES, IMAGE, INPUT, LOGITS, PROBABILITIES
from mindres.signals import deferred_signals


def require() -> None:
    """Raise `UserError` unless the package openvino and those for ONNX are installed."""
    onnx.require()
    try:
        with deferred_signals():  # Ctrl-C during the import could become an ImportError
            importlib.import_module("openvino")
    except ImportError:
        raise UserError(
            "OpenVINO files need the package openvino: pip install 'mindres[openvino]'"
        ) from None


def write(network, path, shape, metadata) -> None:
    """Write `network`, converted from an ONNX file."""
    given = Path(path).with_name("given.onnx")
    onnx.write(network, given, shape, metadata)
    _convert(given, path)


def load(path):
    """The function of an OpenVINO file, images (N, C, H, W) to logits."""
    import openvino

    compiled = _compiled(openvino.Core().read_model(path), "f32")
    return lambda images: compiled({INPUT: images})[LOGITS]


def write_end_to_end(core, path, metadata) -> None:
    """Write an ONNX model of normalised images to logits as an end-to-end file."""
    given = Path(path).with_name("given.onnx")
    onnx.write_end_to_end(core, given, metadata)
    _convert(given, path)


def _convert(given, path) -> None:
    """Convert an ONNX file; its metadata go to `rt_info`, under `mindres`."""
    import onnx as onnx_package
    import openvino

    converted = openvino.convert_model(given)
    for each in onnx_package.load(given).metadata_props:
        converted.set_rt_info(each.value, ["mindres", each.key])
    openvino.save_model(converted, path, compress_to_fp16=False)


class EndToEndFile:
    """The network of an end-to-end OpenVINO file, as `runtime.EndToEndFile`."""

    def __init__(self, path, precision: str = "f32"):
        """`precision`, "f32" or "bf16", is that of the network's layers that are not int8."""
        import openvino

        path = Path(path)
        self.bytes = sum(each.stat().st_size for each in (path, path.with_suffix(".bin")))
        model = openvino.Core().read_model(path)
        kinds = {each.get_type_name() for each in model.get_ops()}
        element = "float32" if precision == "f32" else "bfloat16"
        self.name = f"OpenVINO {'int8' if 'FakeQuantize' in kinds else element}"
        kept = model.get_rt_info("mindres").value
        self.metadata = {name: json.loads(str(value)) for name, value in kept.items()}
        self._whole = _compiled(model, "f32")
        prepare, network = _halves(model)
        self._prepare, self._network = _compiled(prepare, "f32"), _compiled(network, precision)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """The network's input, float32 (C, h, w), for a uint8 RGB image (H, W, 3)."""
        return self._prepare({IMAGE: image})[0][0].copy()

    def probabilities(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """The probabilities, float32 (N, classes), of N prepared images."""
        return self._network({INPUT: np.stack(prepared)})[0].copy()

    def answer_all(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """The probabilities (N, classes) of images (H, W, 3), which may differ in size."""
        return self.probabilities([self.prepare(image) for image in images])

    def answer(self, image: np.ndarray) -> np.ndarray:
        """The probabilities (classes) of an image (H, W, 3), by the file as a whole."""
        return self._whole({IMAGE: image})[PROBABILITIES].copy()


def load_end_to_end(path) -> EndToEndFile:
    """The function of an end-to-end file."""
    return EndToEndFile(path)


def _halves(model):
    """The models of `image` to `input`, for one image, and `input` to `batch_probabilities`."""
    import openvino
    from openvino import opset13

    prepared = _tensor(model, INPUT)
    prepare = openvino.Model([prepared], model.get_parameters(), "prepare").clone()
    shape = [-1, *prepared.get_shape()[1:]]
    given = opset13.parameter(shape, np.float32, INPUT)
    given.output(0).get_tensor().set_names({INPUT})
    for each in prepared.get_target_inputs():
        each.replace_source_output(given.output(0))
    return prepare, openvino.Model([_tensor(model, BATCH_PROBABILITIES)], [given], "network")


def _tensor(model, name: str):
    """The output of an operator whose tensor has this name."""
    outputs = (output for each in model.get_ordered_ops() for output in each.outputs())
    return next(output for output in outputs if name in output.get_names())


def _compiled(model, precision: str):
    """The function of a model, with every instruction of the processor."""
    import openvino

    # OpenVINO has a oneDNN of its own, which reads MindSpore's limit when it is first used.
    with cpu.without_limit():
        return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
