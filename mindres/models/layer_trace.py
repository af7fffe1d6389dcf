"""Traces the layers of a network: output shape, size and receptive field of each.

From kernel k and stride s of each layer follow the receptive field, r + (k - 1) j, and the distance
of neighbouring outputs, j s, both in pixels, with r = j = 1 for the image. Where branches meet, the
largest field counts.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from mindspore import nn

from mindres.models.pooling import AdaptivePool


@dataclass(frozen=True)
class Row:
    """One call of a layer.

    Attributes:
        name: the layer's name, as in the names of its parameters.
        kind: the name of its class.
        output_shape: the shape of its output without the batch.
        parameters: number of weights; 0 in later calls of the same layer.
        multiply_adds: number of multiply-adds; 0 for all but convolutions and dense layers.
        receptive_field: (height, width) in pixels of the part of the image that one element of the
            output depends on. With padding it can be larger than the image.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: tuple[int, int]


def count_parameters(cell) -> int:
    """The number of weights in `cell`, including frozen ones, without normalisation statistics."""
    return sum(
        parameter.size
        for parameter in cell.get_parameters()
        if not parameter.name.endswith(("moving_mean", "moving_variance"))
    )


class Tracer:
    """Adds a row to `rows` for every call of a layer.

    A field here is (receptive field, distance of neighbouring outputs), each (height, width).
    """

    def __init__(self, rows, image):
        self.rows, self.handles, self.counted = rows, [], set()
        start = ((1, 1), (1, 1))
        # By id, with the tensor, which is kept alive so that its id is not reused.
        self.fields = {id(image): (image, start)}
        self.open = [start]

    def attach(self, cell, name):
        """Register hooks on `cell` and its parts."""
        children = {} if isinstance(cell, (nn.Conv2d, nn.Dense)) else cell.name_cells()
        leave = self._leave if children else self._leave_layer(name)
        self.handles += [
            cell.register_forward_pre_hook(self._enter),
            cell.register_forward_hook(leave),
        ]
        for child_name, child in children.items():
            self.attach(child, f"{name}.{child_name}" if name else child_name)

    def detach(self):
        for handle in self.handles:
            handle.remove()

    def _enter(self, cell, inputs):
        # An input that no layer returned is a sum or concatenation of what this cell has computed.
        _, known = self.fields.get(id(inputs[0]), (None, self.open[-1]))
        self.open.append(known)

    def _leave(self, cell, inputs, output):
        widest = self.open.pop()
        _, known = self.fields.get(id(output), (None, widest))
        self._note(output, known)

    def _leave_layer(self, name):
        def leave(cell, inputs, output):
            image, output_shape = inputs[0].shape, output.shape
            known = _field_after(cell, self.open.pop(), image, output_shape)
            self._note(output, known)
            parameters = 0 if id(cell) in self.counted else count_parameters(cell)
            self.counted.add(id(cell))
            self.rows.append(
                Row(
                    name,
                    type(cell).__name__,
                    tuple(output_shape[1:]),
                    parameters,
                    _multiply_adds(cell, output_shape),
                    known[0],
                )
            )

        return leave

    def _note(self, output, known):
        self.fields[id(output)] = (output, known)
        self.open[-1] = max(self.open[-1], known, key=lambda pair: math.prod(pair[0]))


def _field_after(cell, before, input_shape, output_shape):
    """The field of the output of `cell`, whose input has the field `before`."""
    if len(input_shape) < 4:
        return before
    if len(output_shape) < 4:  # the layer covers all pixels
        kernel, stride = input_shape[2:], (1, 1)
    elif isinstance(cell, AdaptivePool):
        kernel = [math.ceil(size / bins) for size, bins in zip(input_shape[2:], output_shape[2:])]
        stride = [max(1, size // bins) for size, bins in zip(input_shape[2:], output_shape[2:])]
    else:
        kernel, stride = _pair(getattr(cell, "kernel_size", 1)), _pair(getattr(cell, "stride", 1))
    field, distance = before
    return (
        tuple(r + (k - 1) * j for r, k, j in zip(field, kernel, distance)),
        tuple(j * s for j, s in zip(distance, stride)),
    )


def _multiply_adds(cell, output_shape):
    if isinstance(cell, nn.Conv2d):
        return math.prod(output_shape) * math.prod(cell.weight.shape[1:])
    if isinstance(cell, nn.Dense):
        return math.prod(output_shape) * cell.in_channels
    return 0


def _pair(value):
    """A kernel size or stride, which MindSpore has as an int or a tuple of 2 or 4, as two ints."""
    return (value, value) if isinstance(value, int) else tuple(value)[-2:]
