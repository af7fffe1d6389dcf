"""Builds graphs of ONNX operators from Python expressions: `(x + 1) * y` is an Add and a Mul."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np


class Value:
    """A tensor of a graph that is being built; its operators add nodes."""

    def __init__(self, graph: GraphBuilder, name: str):
        self.graph = graph
        self.name = name

    def op(self, kind: str, *others, name: str = "", **attributes) -> Value:
        """The output of a new node with this tensor as its first input.

        NumPy arrays among `others` become constants, and Python numbers float32 constants.
        """
        return self.graph.op(kind, self, *others, name=name, **attributes)

    def to(self, dtype: str) -> Value:
        """This tensor cast to the NumPy type `dtype`."""
        return self.op("Cast", to=dtype)

    def reshape(self, *shape: int) -> Value:
        return self.op("Reshape", np.array(shape))

    def sum(self, axis: int) -> Value:
        return self.op("ReduceSum", np.array([axis]), keepdims=0)

    def take(self, indices, axis: int) -> Value:
        """The elements at `indices` along `axis`, as `numpy.take`."""
        return self.op("Gather", indices, axis=axis)

    def __add__(self, other) -> Value:
        return self.op("Add", other)

    def __sub__(self, other) -> Value:
        return self.op("Sub", other)

    def __mul__(self, other) -> Value:
        return self.op("Mul", other)

    def __truediv__(self, other) -> Value:
        return self.op("Div", other)


class Node(NamedTuple):
    """An operator of ONNX, with the names of its inputs and of its output."""

    kind: str
    inputs: tuple[str, ...]
    output: str
    attributes: dict


class GraphBuilder:
    """The nodes and the constants, by name, of a graph in the order of computation."""

    def __init__(self):
        self.nodes: list[Node] = []
        self.constants: dict[str, np.ndarray] = {}

    def input(self, name: str) -> Value:
        return Value(self, name)

    def op(self, kind: str, *inputs, name: str = "", **attributes) -> Value:
        """The output, called `name`, of a new node."""
        names = tuple(self._named(each).name for each in inputs)
        output = name or f"prepare_{len(self.nodes)}_{kind}"
        self.nodes.append(Node(kind, names, output, attributes))
        return Value(self, output)

    def constant(self, value) -> Value:
        name = f"prepare_constant_{len(self.constants)}"
        dtype = np.float32 if type(value) in (int, float) else None
        self.constants[name] = np.asarray(value, dtype)
        return Value(self, name)

    def to_onnx(self, name: str, given: list, made: list):
        """An ONNX graph with the inputs `given` and the outputs `made`, as `ValueInfoProto`s."""
        from onnx import helper, numpy_helper

        nodes = [_onnx_node(each) for each in self.nodes]
        constants = [numpy_helper.from_array(value, key) for key, value in self.constants.items()]
        return helper.make_graph(nodes, name, given, made, constants)

    def _named(self, value) -> Value:
        return value if isinstance(value, Value) else self.constant(value)


def _onnx_node(node: Node):
    from onnx import helper

    attributes = dict(node.attributes)
    if node.kind == "Cast":
        attributes["to"] = helper.np_dtype_to_tensor_dtype(np.dtype(attributes["to"]))
    return helper.make_node(node.kind, node.inputs, [node.output], name=node.output, **attributes)
