"""Runs a graph of ONNX operators as a MindSpore Cell, for MindIR files.

Only MindSpore's basic primitives are used, for MindSpore Lite and Ascend. Whole numbers are int32:
Lite has few operators for int64. That is enough for images whose sides are below a million pixels.
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
        steps: list[nn.Cell] = []
        for node in graph.nodes:
            function, fixed, count = _function(node, graph.constants)
            places = [names.index(name) for name in node.inputs[:count]]
            steps.append(Step(function, fixed, places))
            names.append(node.output)
        self.steps = _chained(steps)

    def construct(self, given):
        return self.steps((*self.constants, given))[-1]


class Step(nn.Cell):
    """Appends to a tuple of tensors the result of a function of those at `places`.

    `fixed` are Python values, the last arguments of the function.
    """

    def __init__(self, function, fixed: tuple, places: list[int]):
        super().__init__(auto_prefix=False)
        self.function = function
        self.fixed = fixed
        self.count = len(places)
        self.first, self.second, self.third = (*places, 0, 0)[:3]

    def construct(self, values):
        if self.count == 1:
            inputs = (values[self.first],)
        elif self.count == 2:
            inputs = (values[self.first], values[self.second])
        else:
            inputs = (values[self.first], values[self.second], values[self.third])
        return (*values, self.function(*inputs, *self.fixed))


class Both(nn.Cell):
    """The second of two Cells after the first."""

    def __init__(self, first: nn.Cell, second: nn.Cell):
        super().__init__(auto_prefix=False)
        self.first = first
        self.second = second

    def construct(self, values):
        return self.second(self.first(values))


def _chained(cells: list[nn.Cell]) -> nn.Cell:
    """The Cell that runs all of `cells`, without a loop: MindSpore nests one call per round."""
    if len(cells) == 1:
        return cells[0]
    middle = len(cells) // 2
    return Both(_chained(cells[:middle]), _chained(cells[middle:]))


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


def _function(node: Node, constants: dict[str, np.ndarray]) -> tuple:
    """The function of a node, its fixed arguments, and how many of the inputs are its tensors."""
    count = len(node.inputs)
    last = constants.get(node.inputs[-1], np.empty(0)).ravel().tolist()
    match node.kind:
        case "Shape":
            return Shape(), (), count
        case "Div":
            return Quotient(), (), count
        case "Cast":
            return ops.Cast(), (_dtype(node.attributes["to"]),), count
        case "Gather":
            return ops.Gather(), (node.attributes["axis"],), count
        case "Transpose":
            return ops.Transpose(), (tuple(node.attributes["perm"]),), count
        case "Reshape":
            return ops.Reshape(), (tuple(last),), 1
        case "Unsqueeze":
            return ops.ExpandDims(), (last[0],), 1
        case "ReduceSum":
            return ops.ReduceSum(), (tuple(last),), 1
    return PRIMITIVES[node.kind](), (), count


def _tensor(value: np.ndarray) -> Tensor:
    return Tensor(value, _dtype(value.dtype))


def _dtype(name):
    """The MindSpore type for a NumPy type."""
    return {"float32": mindspore.float32, "int64": mindspore.int32}[np.dtype(name).name]
