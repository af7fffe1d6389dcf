"""Puts the preparation of an image before an ONNX network, and probabilities behind it."""

from __future__ import annotations

import numpy as np

from mindres.export.preprocessing import preprocessing
from mindres.export.tensors import BATCH_PROBABILITIES, INPUT, LOGITS, PROBABILITIES
from mindres.weights.metadata import Metadata

OPSET = 17
IR_VERSION = 8


def end_to_end(model, metadata, edge):
    """An ONNX model of `image`, uint8 RGB (H, W, 3) of any size, to `probabilities` (classes).

    Inside, `input` (1, C, h, w) is the prepared image, and `batch_probabilities` (1, classes) are
    made of it: what lies between takes batches of any size, and `mindres.export.runtime` runs it
    so.

    Args:
        model: of `input`, normalised images, to `logits`; its notes are kept.
        metadata: with `mean`, `std` and `input_size`.
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
    """An ONNX model as one of the version of operators that these files have."""
    from onnx import version_converter

    converted = version_converter.convert_version(model, OPSET)
    converted.ir_version = IR_VERSION
    return converted


def _add_probabilities(graph, temperature: float) -> None:
    """Make `probabilities` the output of a graph whose output was logits (1, classes)."""
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
