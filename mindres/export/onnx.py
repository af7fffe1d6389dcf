"""ONNX files with the metadata of the checkpoint."""

from __future__ import annotations

import importlib
import json

import mindspore
from mindspore import Tensor

from mindres import __version__
from mindres.data.as_trained import shorter_side
from mindres.errors import UserError
from mindres.export.end_to_end import at_opset, end_to_end
from mindres.export.runtime import EndToEndFile
from mindres.export.tensors import INPUT, LOGITS
from mindres.signals import deferred_signals


def require() -> None:
    """Raise `UserError` unless the packages onnx and onnxruntime are installed."""
    for package in ("onnx", "onnxruntime"):
        try:
            with deferred_signals():  # Ctrl-C during the import could become an ImportError
                importlib.import_module(package)
        except ImportError:
            raise UserError(
                f"ONNX files need the package {package}: pip install onnx onnxruntime"
            ) from None


def write(network, path, shape, metadata) -> None:
    """Write `network` with a named batch dimension and its metadata; onnx checks the file."""
    import onnx

    images = Tensor(shape=(None, *shape), dtype=mindspore.float32)
    mindspore.onnx.export(
        network, images, file_name=str(path), input_names=[INPUT], output_names=[LOGITS]
    )
    model = onnx.load(path)
    for tensor in (model.graph.input[0], model.graph.output[0]):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    model.producer_name = "mindres"
    model.producer_version = __version__
    recorded = {name: json.dumps(value) for name, value in metadata.for_use().items()}
    onnx.helper.set_model_props(model, recorded)
    onnx.checker.check_model(model)
    onnx.save(model, path)


def load(path):
    """The function of an ONNX file, images (N, C, H, W) to logits, by ONNX Runtime."""
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    return lambda images: session.run([LOGITS], {INPUT: images})[0]


def read(path):
    """The ONNX model of a file that `write` has written."""
    import onnx

    return at_opset(onnx.load(path))


def write_end_to_end(core, path, metadata) -> None:
    """Write an ONNX model of normalised images to logits as an end-to-end file."""
    import onnx

    onnx.save(end_to_end(core, metadata, shorter_side(metadata)), path)


def load_end_to_end(path) -> EndToEndFile:
    """The function of an end-to-end file."""
    return EndToEndFile(path)
