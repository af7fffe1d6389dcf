"""Summaries of networks: stages and layers with shapes, sizes and receptive fields.

The network runs once on zeros, so all numbers come from the layers that it really calls.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from itertools import groupby

import mindspore
import numpy as np

from mindres.errors import UserError
from mindres.models.layer_trace import Row, Tracer, count_parameters


@dataclass(frozen=True)
class Stage:
    """The totals of a part of a network, such as `backbone.layer1`.

    Attributes:
        name: the name of the part.
        output_shape: the output shape of its last layer, without the batch.
        parameters: number of weights.
        multiply_adds: number of multiply-adds for one image.
        receptive_field: (height, width) in pixels of its last layer's output.
    """

    name: str
    output_shape: tuple[int, ...]
    parameters: int
    multiply_adds: int
    receptive_field: tuple[int, int]


@dataclass(repr=False)
class Summary:
    """The layers of a network in the order of their calls, and its totals.

    `str()` shows the stages, `layers()` every layer.

    Attributes:
        arch: name of the network.
        input_shape: channels, height and width of the image.
        rows: one for each call of a layer.
        parameters: number of weights of the whole network.
        training_only: how many of them are in layers that only training uses: auxiliary
            classifiers.
    """

    arch: str
    input_shape: tuple[int, ...]
    rows: list[Row] = field(default_factory=list)
    parameters: int = 0
    training_only: int = 0

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one image."""
        return sum(row.multiply_adds for row in self.rows)

    @property
    def stages(self) -> list[Stage]:
        """The totals of each part of the backbone, of the neck and of the head, in their order."""
        stages = []
        for name, group in groupby(self.rows, key=lambda row: _stage_name(row.name)):
            rows = list(group)
            parameters = sum(row.parameters for row in rows)
            multiply_adds = sum(row.multiply_adds for row in rows)
            last = rows[-1]
            stage = Stage(name, last.output_shape, parameters, multiply_adds, last.receptive_field)
            stages.append(stage)
        return stages

    def document(self) -> dict:
        """The summary as JSON values."""
        stages = [asdict(stage) for stage in self.stages]
        return {**asdict(self), "multiply_adds": self.multiply_adds, "stages": stages}

    def layers(self) -> str:
        """The table of all layers, and the totals."""
        head = ("layer", "type", *COLUMNS)
        cells = [(row.name, row.kind, *_cells(row)) for row in self.rows]
        return self._text([head, *cells], left=3)

    def __str__(self) -> str:
        cells = [(stage.name, *_cells(stage)) for stage in self.stages]
        return self._text([("stage", *COLUMNS), *cells], left=2)

    __repr__ = __str__  # what a notebook shows

    def _text(self, table, left) -> str:
        widths = [max(len(text) for text in column) for column in zip(*table)]
        lines = ["  ".join(_aligned(cells, widths, left)) for cells in table]
        rule = "-" * len(lines[0])
        used = f" ({self.training_only:,} of them for training only)" if self.training_only else ""
        totals = [
            f"{self.arch} at {_times(self.input_shape)}",
            f"parameters     {self.parameters:,}{used}",
            f"multiply-adds  {self.multiply_adds:,} ({in_units(self.multiply_adds)})",
            f"weights        {self.parameters * 4 / 2**20:.1f} MiB in float32",
        ]
        return "\n".join([lines[0], rule, *lines[1:], rule, *totals])


COLUMNS = ("output shape", "parameters", "multiply-adds", "receptive field")


def summarize(net, input_shape) -> Summary:
    """Run `net` once, in inference mode, on an image of `input_shape`, and record its layers.

    Args:
        net: a network.
        input_shape: channels, height and width of the image.

    Raises:
        UserError: the network cannot take images of this shape.
    """
    arch = getattr(net, "architecture", {}).get("arch", type(net).__name__)
    summary = Summary(arch, tuple(input_shape), parameters=count_parameters(net))
    image = mindspore.Tensor(np.zeros((1, *input_shape), np.float32))
    tracer = Tracer(summary.rows, image)
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


def in_units(number: int) -> str:
    """A large number with a unit: 4.09 G, 40.8 M, 9.1 k."""
    for unit, size, digits in (("G", 1e9, 2), ("M", 1e6, 1), ("k", 1e3, 1)):
        if number >= size:
            return f"{number / size:.{digits}f} {unit}"
    return str(number)


def _stage_name(layer: str) -> str:
    """The stage of a layer, such as `backbone.layer1`, `neck` or `head`."""
    first, *rest = layer.split(".")
    return f"backbone.{rest[0]}" if first == "backbone" and rest else first


def _cells(part) -> tuple[str, ...]:
    return (
        _times(part.output_shape),
        f"{part.parameters:,}",
        f"{part.multiply_adds:,}",
        _times(part.receptive_field),
    )


def _aligned(cells, widths, left) -> list[str]:
    """`cells` padded to `widths`: the first `left` are left-aligned, the others right-aligned."""
    return [
        text.ljust(width) if i < left else text.rjust(width)
        for i, (text, width) in enumerate(zip(cells, widths))
    ]


def _times(shape) -> str:
    return "x".join(str(size) for size in shape)
