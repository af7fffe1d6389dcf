"""Exports a network to a file for other programs, and checks the file before it counts."""

from __future__ import annotations

import importlib
import tempfile
from dataclasses import replace
from pathlib import Path

import numpy as np
from mindspore import ops

from mindres import files
from mindres.evaluation.inference import in_mode, inference, logits
from mindres.export import FORMATS, format_of
from mindres.models import registry
from mindres.models.build import check_images
from mindres.models.cifar_resnet import PadShortcut
from mindres.models.folding import fold_batch_norm
from mindres.signals import deferred_signals
from mindres.weights.metadata import Metadata

BATCH_SIZES = (1, 2, 5)  # that a file is checked with
TOLERANCE = 1e-4  # of the largest logit


class ExportedPadShortcut(PadShortcut):
    """A `PadShortcut` of operators that can be exported for any batch size.

    `pad` adds the channels.
    """

    def construct(self, x):
        return self.pad(self.subsample(x))


def export_model(net, path, format=None, metadata=None) -> Path:
    """Write `net` for inference to `path`, with batch normalisation folded into the convolutions.

    The input is `input`, normalised float32 images (N, C, H, W) of any batch size, the output
    `logits`, float32 (N, num_classes). An ONNX file carries `metadata` as JSON values in its
    `metadata_props`, so that it can be used without its checkpoint. The file is loaded again, by
    ONNX Runtime or MindSpore, and counts only if it gives the logits of `net` for several batch
    sizes.

    Args:
        net: a network of this package.
        path: the file to write.
        format: "onnx" or "mindir"; None for what `path` ends in.
        metadata: as `load_model` returns it; `input_size` is the size of the images.

    Raises:
        UserError: the format is unknown or not the one that `path` ends in, the onnx packages are
            missing, or the file cannot be written.
    """
    path = Path(path)
    format = format_of(path, format)
    kind = importlib.import_module(FORMATS[format].module)
    kind.require()
    metadata = replace(Metadata.of(metadata), architecture=net.architecture)
    facts = registry.network(net.architecture["arch"])
    channels = net.architecture.get("in_channels", facts.input_shape[0])
    shape = (channels, *(metadata.input_size or facts.input_shape[1:]))
    check_images(net, shape)
    network = _exportable(net)
    # MindSpore takes no names with spaces and leaves files beside: it gets a folder of its own.
    with in_mode(), tempfile.TemporaryDirectory() as folder, files.atomic_write(path) as part:
        draft = Path(folder) / f"network{FORMATS[format].ending}"
        with deferred_signals():  # MindSpore's compiler leaves files behind where it is stopped
            kind.write(network, draft, shape, metadata)
        _check(kind.load(draft), net, shape, path)
        part.write_bytes(draft.read_bytes())
    return path


def _exportable(net):
    """A copy of `net` for inference, without batch normalisation."""
    network = fold_batch_norm(net)
    for _, cell in network.cells_and_names():
        if isinstance(cell, PadShortcut):
            cell.__class__ = ExportedPadShortcut
            cell.pad = ops.Pad(((0, 0), (cell.added, cell.added), (0, 0), (0, 0)))
    return network


def _check(run, net, shape, path) -> None:
    """Compare the logits of the file, which `run` computes, with those of `net`."""
    random = np.random.default_rng(0)
    for batch in BATCH_SIZES:
        images = random.standard_normal((batch, *shape), np.float32)
        with inference(net, mode=None):
            expected = logits(net, images)
        difference = np.abs(run(images) - expected).max()
        if not difference <= TOLERANCE * np.abs(expected).max():
            raise RuntimeError(
                f"{path} was not written: for a batch of {batch} its logits are off by "
                f"{difference:.3g}"
            )
