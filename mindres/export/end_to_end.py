"""Adds preprocessing and softmax to an ONNX network."""

from __future__ import annotations

import numpy as np

from mindres.export.preprocessing import preprocessing
from mindres.export.tensors import BATCH_PROBABILITIES, INPUT, LOGITS, PROBABILITIES
from mindres.weights.metadata import Metadata

OPSET = 17
IR_VERSION = 8


def end_to_end(model, metadata, edge):
    """An ONNX model of `image`, uint8 RGB (H, W, 3) of any size, to `probabilities` (classes).

    Inside, the prepared image is `input` (1, C, h, w), from which `batch_probabilities` (1,
    classes) are computed. The part between these two can take batches of any size, as in
    `mindres.export.runtime`.

    Args:
        model: an ONNX model of `input`, normalised images, to `logits`; its metadata are kept.
        metadata: metadata with `mean`, `std` and `input_size`.
        edge: as for `preprocessing`.
    """
    from onnx import checker, compose, helper

    opsets = [helper.make_opsetid("", OPSET)]
    prepare = preprocessing(metadata, edge)
    prepare = helper.make_model(prepare, opset_imports=opsets, ir_version=IR_VERSION)
    network = at_opset(model)
    whole = compose.merge_models(prepare, network, io_map=[(INPUT, INPUT)])
    _add_probabilities(whole.graph, Metadata.of(metadata).temperature)
    whole.graph.value_info.append(prepare.graph.output[0])
    whole.producer_name = model.producer_name
    whole.producer_version = model.producer_version
    helper.set_model_props(whole, {each.key: each.value for each in model.metadata_props})
    checker.check_model(whole)
    return whole


def at_opset(model):
    """An ONNX model converted to the operator set `OPSET`."""
    from onnx import version_converter

    converted = version_converter.convert_version(model, OPSET)
    converted.ir_version = IR_VERSION
    return converted


def _add_probabilities(graph, temperature: float) -> None:
    """Replace the output of a graph, logits (1, classes), by `probabilities` (classes)."""
    from onnx import helper, numpy_helper

    classes = graph.output[0].type.tensor_type.shape.dim[1].dim_value
    constants = {"first_axis": np.array([0]), "temperature": np.float32(temperature)}
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value), name) for name, value in constants.items()
    )
    names = [BATCH_PROBABILITIES, "first_axis"]
    graph.node.extend(
        [
            helper.make_node("Div", [LOGITS, "temperature"], ["tempered_logits"]),
            helper.make_node("Softmax", ["tempered_logits"], [BATCH_PROBABILITIES], axis=1),
            helper.make_node("Squeeze", names, [PROBABILITIES]),
        ]
    )
    del graph.output[:]
    graph.output.append(_float32(PROBABILITIES, [classes]))
    del graph.value_info[:]
    graph.value_info.append(_float32(BATCH_PROBABILITIES, [1, classes]))


def _float32(name: str, shape: list[int]):
    from onnx import TensorProto, helper

    return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
