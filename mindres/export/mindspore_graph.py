"""Runs a graph of ONNX operators as a MindSpore Cell, for MindIR files.

The primitives are those that MindSpore Lite and Ascend have, too. Whole numbers are int32: Lite has
few operators for int64. That is enough for images whose sides are below a million pixels.
"""

from __future__ import annotations

import mindspore
import numpy as np
from mindspore import Tensor, nn, ops

from mindres.export.graph_builder import GraphBuilder, Node

# The primitives of ONNX operators that take tensors only.
PRIMITIVES = {
    "Add": ops.Add,
    "Sub": ops.Sub,
    "Mul": ops.Mul,
    "Floor": ops.Floor,
    "Round": ops.Round,
    "Min": ops.Minimum,
    "Max": ops.Maximum,
    "Less": ops.Less,
    "Greater": ops.Greater,
    "GreaterOrEqual": ops.GreaterEqual,
    "And": ops.LogicalAnd,
    "Where": ops.Select,
}


class MindSporeGraph(nn.Cell):
    """The function of a `GraphBuilder` with one input, whose result is that of the last node."""

    def __init__(self, graph: GraphBuilder, input_name: str):
        super().__init__(auto_prefix=False)
        names = [*graph.constants, input_name]
        self.constants = tuple(_tensor(value) for value in graph.constants.values())
        steps, places = [], []
        for node in graph.nodes:
            step, taken = _step(node, graph.constants)
            steps.append(step)
            places.append(tuple(names.index(name) for name in node.inputs[:taken]))
            names.append(node.output)
        self.steps = nn.CellList(steps, auto_prefix=False)
        self.places = tuple(places)

    def construct(self, given):
        values = (*self.constants, given)
        for step, places in zip(self.steps, self.places):
            inputs = ()
            for place in places:
                inputs = (*inputs, values[place])
            values = (*values, step(*inputs))
        return values[-1]


class Step(nn.Cell):
    """A primitive, whose last arguments are fixed Python values."""

    def __init__(self, primitive, *fixed):
        super().__init__(auto_prefix=False)
        self.primitive = primitive
        self.fixed = fixed

    def construct(self, *inputs):
        return self.primitive(*inputs, *self.fixed)


class Quotient(nn.Cell):
    """The quotient of two tensors, rounded down if they are whole numbers."""

    def __init__(self):
        super().__init__(auto_prefix=False)
        self.whole = ops.FloorDiv()
        self.real = ops.RealDiv()

    def construct(self, x, y):
        return self.whole(x, y) if x.dtype == mindspore.int32 else self.real(x, y)


class Shape(nn.Cell):
    """The shape of a tensor, int32."""

    def __init__(self):
        super().__init__(auto_prefix=False)
        self.shape = ops.TensorShape()
        self.cast = ops.Cast()

    def construct(self, x):
        return self.cast(self.shape(x), mindspore.int32)


def _step(node: Node, constants: dict[str, np.ndarray]) -> tuple[nn.Cell, int]:
    """The Cell of a node, and how many of the node's inputs are its tensors."""
    count = len(node.inputs)
    fixed = constants.get(node.inputs[-1])
    match node.kind:
        case "Shape":
            return Shape(), count
        case "Div":
            return Quotient(), count
        case "Cast":
            return Step(ops.Cast(), _dtype(node.attributes["to"])), count
        case "Gather":
            return Step(ops.Gather(), node.attributes["axis"]), count
        case "Transpose":
            return Step(ops.Transpose(), tuple(node.attributes["perm"])), count
        case "Reshape":
            return Step(ops.Reshape(), tuple(fixed.tolist())), 1
        case "Unsqueeze":
            return Step(ops.ExpandDims(), int(fixed[0])), 1
        case "ReduceSum":
            return Step(ops.ReduceSum(), tuple(fixed.tolist())), 1
        case _:
            return Step(PRIMITIVES[node.kind]()), count


def _tensor(value: np.ndarray) -> Tensor:
    return Tensor(value, _dtype(value.dtype))


def _dtype(name):
    """The MindSpore type for a NumPy type."""
    return {"float32": mindspore.float32, "int64": mindspore.int32}[np.dtype(name).name]
