"""OpenVINO files: an .xml file with the network, and beside it a .bin file with its weights.

On processors with AVX-512 for bfloat16 or AMX, OpenVINO computes in bfloat16 unless it is told
otherwise, the preparation of the image included. So whoever runs a whole file says
`INFERENCE_PRECISION_HINT: "f32"`, and who wants bfloat16 runs the halves, as `EndToEndFile` does.
"""

from __future__ import annotations

import importlib
import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from mindres.errors import UserError
from mindres.export import onnx
from mindres.export.tensors import BATCH_PROBABILITIES, IMAGE, INPUT, LOGITS, PROBABILITIES
from mindres.signals import deferred_signals


def require() -> None:
    """Raise `UserError` unless the packages are there."""
    onnx.require()
    try:
        with deferred_signals():  # else Ctrl-C inside may come out as an ImportError
            importlib.import_module("openvino")
    except ImportError:
        raise UserError(
            "OpenVINO files take the package openvino: pip install 'mindres[openvino]'"
        ) from None


def write(network, path, shape, metadata) -> None:
    """Write `network`, by way of an ONNX file."""
    import onnx as onnx_package

    by_way = Path(path).with_name("by_way.onnx")
    onnx.write(network, by_way, shape, metadata)
    from_onnx(onnx_package.load(by_way), path)


def load(path):
    """The function of a file, images (N, C, H, W) to logits."""
    import openvino

    compiled = _compiled(openvino.Core().read_model(path), "f32")
    return lambda images: compiled({INPUT: images})[LOGITS]


def from_onnx(model, path) -> None:
    """Write an ONNX model and its notes, which are in `rt_info` under `mindres`."""
    import onnx as onnx_package
    import openvino

    by_way = Path(path).with_name("from.onnx")
    onnx_package.save(model, by_way)
    converted = openvino.convert_model(by_way)
    for each in model.metadata_props:
        converted.set_rt_info(each.value, ["mindres", each.key])
    openvino.save_model(converted, path, compress_to_fp16=False)


class EndToEndFile:
    """The network of an OpenVINO file that takes photographs, as `runtime.EndToEndFile`."""

    def __init__(self, path, precision: str = "f32"):
        """`precision`: in which the network computes what is not int8, "f32" or "bf16"."""
        import openvino

        path = Path(path)
        self.bytes = sum(each.stat().st_size for each in (path, path.with_suffix(".bin")))
        model = openvino.Core().read_model(path)
        kinds = {each.get_type_name() for each in model.get_ops()}
        element = "float32" if precision == "f32" else "bfloat16"
        self.name = f"OpenVINO {'int8' if 'FakeQuantize' in kinds else element}"
        notes = model.get_rt_info("mindres").value
        self.metadata = {name: json.loads(str(value)) for name, value in notes.items()}
        self._whole = _compiled(model, "f32")
        prepare, network = _halves(model)
        self._prepare, self._network = _compiled(prepare, "f32"), _compiled(network, precision)

    def prepare(self, image: np.ndarray) -> np.ndarray:
        """What the network takes for a uint8 RGB image (H, W, 3): float32 (C, h, w)."""
        return self._prepare({IMAGE: image})[0][0].copy()

    def probabilities(self, prepared: Sequence[np.ndarray]) -> np.ndarray:
        """Float32 (N, classes) for N prepared images."""
        return self._network({INPUT: np.stack(prepared)})[0].copy()

    def answer_all(self, images: Sequence[np.ndarray]) -> np.ndarray:
        """The probabilities (N, classes) of images (H, W, 3), which may differ in size."""
        return self.probabilities([self.prepare(image) for image in images])

    def answer(self, image: np.ndarray) -> np.ndarray:
        """The probabilities (classes) of one image (H, W, 3), from the whole file at once."""
        return self._whole({IMAGE: image})[PROBABILITIES].copy()


def load_end_to_end(path) -> EndToEndFile:
    """A file that takes photographs, with `answer` and `answer_all`."""
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
    import openvino

    return openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
