"""Exports a network to a file for other programs, and verifies the file."""

from __future__ import annotations

import contextlib
import importlib
import shutil
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
from mindspore import ops

from mindres import files
from mindres.data.as_trained import check_says_how
from mindres.errors import UserError
from mindres.evaluation.inference import in_mode, inference, logits
from mindres.export import FORMATS, Format, format_of, onnx
from mindres.export.photographs import Exported, Writer
from mindres.models import registry
from mindres.models.build import check_images
from mindres.models.cifar_resnet import PadShortcut
from mindres.models.folding import fold_batch_norm
from mindres.signals import deferred_signals
from mindres.weights.metadata import Metadata

BATCH_SIZES = (1, 2, 5)  # with which a file is verified
TOLERANCE = 1e-4  # largest difference of logits, relative to the largest logit


class ExportedPadShortcut(PadShortcut):
    """A `PadShortcut` that can be exported for any batch size; `pad` adds the channels."""

    def construct(self, x):
        return self.pad(self.subsample(x))


def export_model(
    net,
    path,
    format=None,
    metadata=None,
    end_to_end=False,
    data=None,
    int8=False,
    calibration=None,
    report=None,
) -> Path:
    """Write `net` for inference to `path`, with batch normalisation folded into the convolutions.

    The input is `input`, normalised float32 images (N, C, H, W) of any batch size, the output
    `logits`, float32 (N, num_classes). The file has `metadata` as JSON values, in ONNX's
    `metadata_props`, OpenVINO's `rt_info` or MindIR's `user_info`, so that it can be used without
    the checkpoint. It is loaded again by
    a reader of its format, and is written only if it has the logits of `net` for several batch
    sizes. An OpenVINO file has its weights in a file beside it, which ends in .bin.

    With `end_to_end` the file takes whole images: the input is `image`, uint8 RGB (H, W, 3) of any
    size, upright, and the output `probabilities`, float32 (num_classes). Resizing, cropping,
    normalisation and softmax are inside, as in `mindres.predict`. The file is written only if it
    predicts the same class for up to 2,000 images of `data`, and if probabilities differ by at most
    0.001.

    With `int8` as well, weights (by channel) and activations have 8 bits, by ONNX Runtime's static
    quantisation. Layers are left in float32 until at most 0.5 points of accuracy are lost on
    `data`. MindIR files are not written in int8.

    Args:
        net: a network of this package.
        path: the file to write.
        format: a name in `mindres.export.FORMATS`; None for that of the extension.
        metadata: as returned by `load_model`; `input_size` is the size of the images.
        end_to_end: whether the file takes whole images.
        data: an `ImageDataset` to verify the file on; None for synthetic images.
        int8: whether to quantise the file.
        calibration: an `ImageDataset` of training images, of which 256 determine the ranges of
            activations; None for synthetic images.
        report: called at the end with the `Exported`: how the file was verified, and its speed.

    Returns:
        The path of the file.

    Raises:
        UserError: the format is unknown or does not match the extension, packages are missing, the
            metadata do not say how images are prepared, the file cannot be written, or `int8` is
            slower here than float32 or loses too much accuracy.
    """
    path = Path(path)
    format = format_of(path, format)
    kind = importlib.import_module(FORMATS[format].module)
    kind.require()
    metadata = replace(Metadata.of(metadata), architecture=net.architecture)
    if int8 and not end_to_end:
        raise UserError("`int8` is for files that take whole images: give `end_to_end`, too")
    if end_to_end:
        check_says_how(metadata)
        _check_has_end_to_end(format, kind, int8)
    shape = _input_shape(net, metadata)
    # MindSpore accepts no names with spaces and leaves other files beside, so it gets a folder.
    with in_mode(), tempfile.TemporaryDirectory() as folder, _published(path, format) as publish:
        draft = Path(folder) / f"network{FORMATS[format].ending}"
        if end_to_end:
            core = _core(FORMATS[format], net, shape, draft, metadata, path)
            writer = Writer(kind, core, draft, net, metadata, data, path)
            exported = writer.write()
            if int8:
                writer.write_int8(calibration, exported)
        else:
            _write_checked(kind, net, shape, draft, metadata, path)
            exported = Exported(path)
        exported.bytes = publish(draft)
    if report:
        report(exported)
    return exported.path


def _check_has_end_to_end(format: str, kind, int8: bool) -> None:
    """Raise `UserError` if a format has no end-to-end files, or none in int8."""
    if not hasattr(kind, "write_end_to_end"):
        raise UserError(
            f"{format} files take prepared images only: choose another format, or leave out "
            "`end_to_end`"
        )
    if int8 and not FORMATS[format].from_onnx:
        raise UserError(
            f"{format} files are not written in int8: export to ONNX or OpenVINO, or leave out "
            "`int8`"
        )


@contextlib.contextmanager
def _published(path: Path, format: str) -> Iterator[Callable[[Path], int]]:
    """A function that copies a draft and what lies beside it to `path`, and counts the bytes."""
    row = FORMATS[format]
    with contextlib.ExitStack() as stack:
        paths = [path, *(path.with_suffix(ending) for ending in row.beside)]
        parts = [stack.enter_context(files.atomic_write(each)) for each in paths]

        def publish(draft: Path) -> int:
            for ending, part in zip((row.ending, *row.beside), parts):
                shutil.copyfile(draft.with_suffix(ending), part)
            return sum(part.stat().st_size for part in parts)

        yield publish


def _core(row: Format, net, shape, draft: Path, metadata: Metadata, path: Path):
    """The network as `write_end_to_end` takes it."""
    if not row.from_onnx:
        return _exportable(net)
    core = draft.with_name("core.onnx")
    _write_checked(onnx, net, shape, core, metadata, path)
    return onnx.read(core)


def _write_checked(kind, net, shape, draft: Path, metadata: Metadata, path: Path) -> None:
    """Write `net` to `draft` and compare its logits."""
    network = _exportable(net)
    with deferred_signals():  # MindSpore's compiler leaves files behind if it is stopped
        kind.write(network, draft, shape, metadata)
    _check(kind.load(draft), net, shape, path)


def _input_shape(net, metadata: Metadata) -> tuple[int, ...]:
    """The file's (channels, height, width); raises `UserError` if `net` cannot take such images."""
    facts = registry.network(net.architecture["arch"])
    channels = net.architecture.get("in_channels", facts.input_shape[0])
    shape = (channels, *(metadata.input_size or facts.input_shape[1:]))
    check_images(net, shape)
    return shape


def _exportable(net):
    """A copy of `net` for inference, without batch normalisation."""
    network = fold_batch_norm(net)
    for _, cell in network.cells_and_names():
        if isinstance(cell, PadShortcut):
            cell.__class__ = ExportedPadShortcut
            cell.pad = ops.Pad(((0, 0), (cell.added, cell.added), (0, 0), (0, 0)))
    return network


def _check(run, net, shape, path) -> None:
    """Compare the logits of the file, computed by `run`, with those of `net`."""
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
