"""Networks for use outside of mindres: ONNX for any runtime, MindIR for MindSpore; a file is tried before it counts."""

from __future__ import annotations

import importlib
import json
import tempfile
from dataclasses import replace
from pathlib import Path

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops

from mindres import files
from mindres.errors import UserError
from mindres.models import registry
from mindres.models.build import check_images
from mindres.models.cifar_resnet import PadShortcut
from mindres.models.folding import fold_batch_norm
from mindres.signals import interrupted_later
from mindres.weights.metadata import Metadata

FORMATS = ("onnx", "mindir")
BATCH_SIZES = (1, 2, 5)  # that an exported file is tried with
TOLERANCE = 1e-4  # of the largest logit


class ExportedPadShortcut(PadShortcut):
    """A `PadShortcut` of operators that can be exported for any batch size, with `pad` to add the channels."""

    def construct(self, x):
        return self.pad(self.subsample(x))


def export_model(net, path, format=None, metadata=None) -> Path:
    """Write `net` for inference to `path`, with batch normalisation folded in; any batch size can be fed to it.

    The input is `input`, normalised float32 images (N, C, H, W), the output `logits`, float32 (N, num_classes). An
    ONNX file carries `metadata` as JSON values in its `metadata_props`, so that it can be used without its
    checkpoint. The file is loaded again, by ONNX Runtime or MindSpore, and counts only if it gives the logits of
    `net` for several batch sizes.

    Args:
        net: a network of this package.
        path: the file to write.
        format: "onnx" or "mindir"; None for what `path` ends in.
        metadata: as `load_model` returns it; `input_size` (height, width) settles the size of the images.

    Raises:
        UserError: the format is unknown, the onnx packages are missing, or the file cannot be written.
    """
    path = Path(path)
    metadata = replace(Metadata.of(metadata), architecture=net.architecture)
    format = format or path.suffix[1:]
    if format not in FORMATS:
        raise UserError(f"cannot tell the format of {path}: choose one of {', '.join(FORMATS)}")
    if format == "onnx":
        require_onnx()
    facts = registry.network(net.architecture["arch"])
    channels = net.architecture.get("in_channels", facts.input_shape[0])
    shape = (channels, *(metadata.input_size or facts.input_shape[1:]))
    check_images(net, shape[1:])
    network = fold_batch_norm(net)
    for _, cell in network.cells_and_names():
        if isinstance(cell, PadShortcut):
            cell.__class__ = ExportedPadShortcut
            cell.pad = ops.Pad(((0, 0), (cell.added, cell.added), (0, 0), (0, 0)))
    # MindSpore writes where it likes and only to names without spaces: it gets a folder of its own.
    with tempfile.TemporaryDirectory() as folder, files.replacing(path) as part:
        draft = Path(folder) / f"network.{format}"
        with (
            interrupted_later()
        ):  # MindSpore leaves files behind where it is stopped while it compiles
            _write(network, draft, format, shape)
        if format == "onnx":
            _finish_onnx(draft, metadata)
        _compare(net, _runner(draft, format), shape, path)
        part.write_bytes(draft.read_bytes())
    return path


def require_onnx() -> None:
    """Raise `UserError` unless the packages are there that ONNX files take."""
    for package in ("onnx", "onnxruntime"):
        try:
            with interrupted_later():  # else Ctrl-C inside may come out as an ImportError
                importlib.import_module(package)
        except ImportError:
            raise UserError(
                f"ONNX files take the package {package}: pip install onnx onnxruntime"
            ) from None


def _write(network, path, format, shape) -> None:
    images = Tensor(shape=(None, *shape), dtype=mindspore.float32)
    if format == "onnx":
        mindspore.onnx.export(
            network, images, file_name=str(path), input_names=["input"], output_names=["logits"]
        )
    else:
        mindspore.export(network, images, file_name=str(path), file_format="MINDIR")


def _finish_onnx(path, metadata: Metadata) -> None:
    """Name the batch dimension, note the metadata, and have the file checked."""
    import onnx

    model = onnx.load(path)
    for tensor in (model.graph.input[0], model.graph.output[0]):
        tensor.type.tensor_type.shape.dim[0].dim_param = "batch"
    model.producer_name, model.producer_version = (
        "mindres",
        importlib.import_module("mindres").__version__,
    )
    onnx.helper.set_model_props(
        model, {key: json.dumps(value) for key, value in metadata.for_use().items()}
    )
    onnx.checker.check_model(model)
    onnx.save(model, path)


def _runner(path, format):
    """The function, images (N, C, H, W) to logits, that the file holds."""
    if format == "onnx":
        import onnxruntime

        session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
        return lambda images: session.run(["logits"], {"input": images})[0]
    network = nn.GraphCell(mindspore.load(str(path)))
    return lambda images: network(Tensor(images)).asnumpy()


def _compare(net, run, shape, path) -> None:
    random, training = np.random.default_rng(0), net.training
    net.set_train(False)
    for batch in BATCH_SIZES:
        images = random.standard_normal((batch, *shape), np.float32)
        expected = net(Tensor(images)).asnumpy()
        difference = np.abs(run(images) - expected).max()
        if not difference <= TOLERANCE * np.abs(expected).max():
            raise RuntimeError(
                f"{path} was not written: for a batch of {batch} its logits are off by {difference:.3g}"
            )
    net.set_train(training)
