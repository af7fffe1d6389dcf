"""What a network is made of: each layer's output shape, parameters, multiply-adds and receptive field.

The network runs once on zeros, so every number comes from the layers that were really called.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import mindspore
import numpy as np
from mindspore import nn

from mindres.errors import UserError
from mindres.models.pooling import AdaptivePool


@dataclass(frozen=True)
class Row:
    """One call of one layer.

    `output_shape` is without the batch. `receptive_field` is the (height, width) of the part of the image
    that one element of the output depends on; with padding it can be larger than the image.
    """

    name: str
    kind: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: tuple[int, int]


@dataclass
class Summary:
    """The rows in the order of the calls, with the totals; `multiply_adds` are for one image.

    `parameters` counts the whole network; `training_only` of them belong to layers that inference does not
    call, which are auxiliary classifiers.
    """

    arch: str
    input_shape: tuple[int, ...]
    rows: list[Row] = field(default_factory=list)
    parameters: int = 0
    training_only: int = 0

    @property
    def multiply_adds(self) -> int:
        return sum(row.multiply_adds for row in self.rows)

    def __str__(self) -> str:
        table = [
            ("layer", "type", "output shape", "parameters", "multiply-adds", "receptive field")
        ]
        table += [
            (
                row.name,
                row.kind,
                _times(row.output_shape),
                f"{row.parameters:,}",
                f"{row.multiply_adds:,}",
                _times(row.receptive_field),
            )
            for row in self.rows
        ]
        widths = [max(len(cells[i]) for cells in table) for i in range(6)]
        lines = [
            "  ".join(
                [cells[i].ljust(widths[i]) for i in range(3)]
                + [cells[i].rjust(widths[i]) for i in range(3, 6)]
            )
            for cells in table
        ]
        rule = "-" * len(lines[0])
        used = f" ({self.training_only:,} of them for training only)" if self.training_only else ""
        return "\n".join(
            [
                lines[0],
                rule,
                *lines[1:],
                rule,
                f"{self.arch} at {_times(self.input_shape)}",
                f"parameters     {self.parameters:,}{used}",
                f"multiply-adds  {self.multiply_adds:,} ({in_units(self.multiply_adds)})",
                f"weights        {self.parameters * 4 / 2**20:.1f} MiB in float32",
            ]
        )


def summarize(net, input_shape) -> Summary:
    """Run `net` once, in inference, on an image of `input_shape` (channels, height, width), and note what it does.

    Multiply-adds are those of convolutions and fully connected layers. The receptive field r and the
    distance j of neighbouring outputs, both in pixels, follow from kernel k and stride s layer by layer:
    r + (k - 1) j and j s, from r = j = 1 at the image. Where branches meet, the widest counts.

    Raises:
        UserError: the network cannot take images of this shape.
    """
    arch = getattr(net, "architecture", {}).get("arch", type(net).__name__)
    summary = Summary(arch, tuple(input_shape), parameters=count_parameters(net))
    image = mindspore.Tensor(np.zeros((1, *input_shape), np.float32))
    tracer = _Tracer(summary.rows, image)
    mode, training = mindspore.get_context("mode"), net.training
    # Hooks are called in PyNative mode only.
    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
    net.set_train(False)
    try:
        tracer.attach(net, "")
        net(image)
    except (ValueError, RuntimeError, TypeError) as error:
        reason = str(error).strip().splitlines()[0]
        raise UserError(
            f"{arch} cannot take images of {_times(input_shape)} (channels x height x width): "
            f"{reason}"
        ) from None
    finally:
        tracer.detach()
        net.set_train(training)
        mindspore.set_context(mode=mode)
    summary.training_only = summary.parameters - sum(row.parameters for row in summary.rows)
    return summary


def count_parameters(cell) -> int:
    """Number of weights in `cell`, frozen ones included, the statistics of batch normalisation not."""
    return sum(
        parameter.size
        for parameter in cell.get_parameters()
        if not parameter.name.endswith(("moving_mean", "moving_variance"))
    )


class _Tracer:
    """Notes every call of a layer. A field is (receptive field, distance), each a (height, width)."""

    def __init__(self, rows, image):
        self.rows, self.handles, self.counted = rows, [], set()
        start = ((1, 1), (1, 1))
        # By id, with the tensor, which must live on: ids are given again.
        self.fields = {id(image): (image, start)}
        self.open = [start]

    def attach(self, cell, name):
        """Watch `cell`, or each of its parts if it is made of some."""
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
        # What no layer returned comes from a sum or a concatenation of what this cell has computed so far.
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
    if len(output_shape) < 4:  # all pixels come together
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
    """A kernel size or stride as (height, width); MindSpore has them as a number or a tuple of 2 or 4."""
    return (value, value) if isinstance(value, int) else tuple(value)[-2:]


def in_units(number: int) -> str:
    """A large number as people say it: 4.09 G, 40.8 M, 9.1 k."""
    for unit, size, digits in (("G", 1e9, 2), ("M", 1e6, 1), ("k", 1e3, 1)):
        if number >= size:
            return f"{number / size:.{digits}f} {unit}"
    return str(number)


def _times(shape):
    return "x".join(str(size) for size in shape)
