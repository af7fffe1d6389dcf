"""Quantises an ONNX network to int8, with ONNX Runtime's static quantiser."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Collection
from pathlib import Path

import numpy as np

from mindres.export.tensors import INPUT

LAYERS = ("Conv", "Gemm", "MatMul")  # operators with weights
FEW = 32  # images to rank layers by


def quantised(model, images: np.ndarray, in_float: Collection[str] = ()):
    """A copy of an ONNX model with int8 weights, by channel, and uint8 activations.

    Processors multiply uint8 by int8 fastest.

    Args:
        model: an ONNX model of `input`, normalised images, to `logits`.
        images: training images (N, C, H, W) that determine the ranges of activations.
        in_float: names of nodes to leave in float32.
    """
    return _quantise(model, images, nodes_to_exclude=list(in_float))


def by_sensitivity(model, images: np.ndarray) -> list[str]:
    """The names of the nodes with weights, sorted by how much each alone in int8 changes logits."""
    images = images[:FEW]
    expected = _logits(model, images)
    changes = {}
    for node in model.graph.node:
        if node.op_type in LAYERS:
            alone = _quantise(model, images, nodes_to_quantize=[node.name])
            changes[node.name] = float(np.abs(_logits(alone, images) - expected).mean())
    return sorted(changes, key=changes.__getitem__, reverse=True)


def _quantise(model, images, **options):
    import onnx
    from onnxruntime import quantization

    class Images(quantization.CalibrationDataReader):
        def __init__(self):
            self.batches = iter(np.array_split(images, -(-len(images) // FEW)))

        def get_next(self):
            batch = next(self.batches, None)
            return None if batch is None else {INPUT: batch}

    with tempfile.TemporaryDirectory() as folder:
        given, made = Path(folder) / "float.onnx", Path(folder) / "int8.onnx"
        onnx.save(model, given)
        logger = logging.getLogger()
        level = logger.level
        logger.setLevel(logging.ERROR)  # its advice is to do what has been done
        try:
            quantization.quantize_static(
                given,
                made,
                Images(),
                per_channel=True,
                activation_type=quantization.QuantType.QUInt8,
                weight_type=quantization.QuantType.QInt8,
                **options,
            )
        finally:
            logger.setLevel(level)
        quantised = onnx.load(made)
    del quantised.metadata_props[:]
    quantised.metadata_props.extend(model.metadata_props)
    return quantised


def _logits(model, images):
    import onnxruntime

    providers = ["CPUExecutionProvider"]
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=providers)
    return session.run(None, {INPUT: images})[0]
