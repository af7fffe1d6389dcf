"""Builds ONNX graphs from Python expressions: `(x + 1) * y` becomes an Add and a Mul."""

from __future__ import annotations

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

    def to(self, dtype) -> Value:
        """This tensor cast to the NumPy type `dtype`."""
        from onnx.helper import np_dtype_to_tensor_dtype

        return self.op("Cast", to=np_dtype_to_tensor_dtype(np.dtype(dtype)))

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

    def __pow__(self, other) -> Value:
        return self.op("Pow", other)


class GraphBuilder:
    """The nodes and constants of a graph, in the order of computation."""

    def __init__(self):
        self.nodes = []
        self.constants = []

    def input(self, name: str) -> Value:
        return Value(self, name)

    def op(self, kind: str, *inputs, name: str = "", **attributes) -> Value:
        """The output, called `name`, of a new node."""
        from onnx import helper

        names = [self._named(each).name for each in inputs]
        output = name or f"prepare_{len(self.nodes)}_{kind}"
        self.nodes.append(helper.make_node(kind, names, [output], name=output, **attributes))
        return Value(self, output)

    def constant(self, value) -> Value:
        from onnx import numpy_helper

        name = f"prepare_constant_{len(self.constants)}"
        dtype = np.float32 if type(value) in (int, float) else None
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return Value(self, name)

    def _named(self, value) -> Value:
        return value if isinstance(value, Value) else self.constant(value)
