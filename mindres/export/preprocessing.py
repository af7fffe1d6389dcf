"""The preparation of an image, as `mindres.data.as_trained.preprocess` does it, in ONNX operators.

Pixels are those of OpenCV's cubic resize of uint8 images (a = -0.75, half-pixel centres, no
low-pass), which MindSpore calls: weights are whole 2048ths. ONNX's own Resize is not used: its
weights are not rounded, so that one pixel in ten would be another.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from mindres.export.graph_builder import GraphBuilder, Value
from mindres.export.tensors import IMAGE, INPUT
from mindres.weights.metadata import Metadata

TAPS = np.array([[-1], [0], [1], [2]])  # the pixels that count, from the one before the position
A = -0.75
# Coefficients of the polynomials of their weights, a column each; the highest power comes first.
CUBIC = np.array(
    [[A, A + 2, A + 2, 0], [-5 * A, -A - 3, -A - 3, 0], [8 * A, 0, 0, 0], [-4 * A, 1, 1, 0]],
    np.float32,
)[..., None]
SCALE = 2048.0
ABOVE_HALF = 4e-5  # more than the error of a pixel's sum in float32
# Pillow's weights of red, green and blue, of 65536.
GREY = np.array([19595, 38470, 7471], np.float32)


class Axis(NamedTuple):
    """The pixels of one axis that are read, and how: all int64 scalars of the graph.

    first: the first pixel that is read.
    side: how many pixels from there on are resized.
    resized: to how many.
    """

    first: Value
    side: Value
    resized: Value


def preprocessing(metadata: Metadata, edge: int | None):
    """The ONNX graph of `image`, uint8 (height, width, 3), to `input`, float32 (1, C, h, w)."""
    from onnx import TensorProto, helper

    graph = preparation(metadata, edge)
    given = helper.make_tensor_value_info(IMAGE, TensorProto.UINT8, ["height", "width", 3])
    shape = [1, len(metadata["mean"]), *metadata["input_size"]]
    made = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)
    return graph.to_onnx("prepare", [given], [made])


def preparation(metadata: Metadata, edge: int | None) -> GraphBuilder:
    """The operators from `image` to `input`.

    Args:
        metadata: with `mean`, `std` and `input_size`.
        edge: the length to which the shorter side is resized before the image is cropped; None
            stretches the image.
    """
    h, w = metadata["input_size"]
    graph = GraphBuilder()
    image = graph.input(IMAGE)
    rows, columns = _axes(image, h, w, edge)
    resized = _resized(image, rows, columns, h, w, grey=len(metadata["mean"]) == 1)
    mean, std = (np.array(metadata[name], np.float32)[:, None, None] for name in ("mean", "std"))
    ((resized / 255 - mean) / std).op("Unsqueeze", np.array([0]), name=INPUT)
    return graph


def _axes(image: Value, h: int, w: int, edge: int | None) -> tuple[Axis, Axis]:
    """How the rows and the columns are resized."""
    shape = image.op("Shape")
    sides = [shape.take(np.int64(axis), axis=0) for axis in (0, 1)]
    if edge is None:
        none = image.graph.constant(np.int64(0))
        lengths = [image.graph.constant(np.int64(n)) for n in (h, w)]
        return tuple(Axis(none, side, n) for side, n in zip(sides, lengths))  # type: ignore[return-value]
    shorter = sides[0].op("Min", sides[1])
    return tuple(_cropped(side, shorter, edge, (h, w)) for side in sides)  # type: ignore[return-value]


def _cropped(side: Value, shorter: Value, edge: int, size) -> Axis:
    """An axis of an image whose shorter side becomes `edge`.

    Of a very long one only the middle is resized, as `preprocess` does.
    """
    ratio = 8 * -(-max(size) // min(size))
    first = ((side - shorter * np.int64(ratio)) / np.int64(2)).op("Max", np.int64(0))
    rest = side - first * np.int64(2)
    # `rest` is up to `shorter * ratio + 1`, since as much is cut off at both ends.
    return Axis(first, rest, _floor_of_share(rest, shorter, edge, edge * (ratio + 1)))


def _floor_of_share(rest: Value, shorter: Value, edge: int, most: int) -> Value:
    """`floor(rest / shorter * edge)` as MindSpore computes it, in float32; `most` at most.

    Whole numbers are divided, since some runtimes multiply by a reciprocal instead, and are then
    one less where there is no remainder. Where there is none the float32 may be one less, too.
    """
    product = rest * np.int64(edge)
    whole = product / shorter
    counted = np.arange(most + 1, dtype=np.float32)
    in_float32 = np.floor(counted / np.float32(edge) * np.float32(edge)).astype(np.int64)
    remains = (product - whole * shorter).op("Greater", np.int64(0))
    return remains.op("Where", whole, rest.graph.constant(in_float32).op("Gather", whole, axis=0))


def _resized(image: Value, rows: Axis, columns: Axis, h: int, w: int, grey: bool) -> Value:
    """The middle (h, w) of the resized image, whole numbers from 0 to 255, float32 (C, h, w)."""
    row_places, column_places = _places(rows, h), _places(columns, w)
    row_indices, row_weights = _taps(rows, row_places, h)
    column_indices, column_weights = _taps(columns, column_places, w)
    pixels = image.take(row_indices, axis=0).take(column_indices, axis=1)
    if grey:
        sums = (pixels.to("float32") * GREY).sum(2) + 32768
        pixels = (sums / 65536).op("Floor").reshape(4 * h, 4 * w, 1)
    channels = 1 if grey else 3
    planes = pixels.op("Transpose", perm=[2, 0, 1]).to("float32")
    # Sums of whole numbers below 2 ** 24, which float32 has.
    across = (planes.reshape(channels * 4 * h, 4, w) * column_weights).sum(1)
    across = across.reshape(channels, 4, h, w)
    weights = (row_weights / SCALE**2).reshape(4, h, 1)
    parts = [across.take(np.int64(k), axis=1) * weights.take(np.int64(k), axis=0) for k in range(4)]
    down = parts[0] + (parts[1] + (parts[2] + parts[3]))  # OpenCV's order, which float32 rounds by
    down += _rounded_up(columns, column_places, channels)
    return down.op("Round").op("Max", 0).op("Min", 255)


def _places(axis: Axis, kept: int) -> Value:
    """The `kept` middle places of an axis, int64."""
    # Rounded down, as ONNX does not say how it rounds quotients of negative whole numbers.
    start = (axis.resized + np.int64(kept % 2)) / np.int64(2) - np.int64(-(-kept // 2))
    return start + np.arange(kept)


def _rounded_up(columns: Axis, places: Value, channels: int) -> Value:
    """What to add so that halves are rounded as by OpenCV, float32 (C, 1, w).

    OpenCV rounds halves to even, 8 values of a row at a time, and those that remain at the end of
    the row up.
    """
    count, eight = np.int64(channels), np.int64(8)
    value = places * count + np.arange(channels)[:, None, None]
    remain = value.op("GreaterOrEqual", columns.resized * count / eight * eight)
    return remain.to("float32") * ABOVE_HALF


def _taps(axis: Axis, place: Value, kept: int) -> tuple[Value, Value]:
    """Which pixels the values at `place` are made of: int64 (4 * kept), and their weights.

    The weights, (4, kept), are whole 2048ths; places outside of the image have none, and are black.
    """
    # Whole numbers as far as they go: some runtimes compute float64 as float32.
    double = axis.resized * np.int64(2)
    centre = (place * np.int64(2) + np.int64(1)) * axis.side - axis.resized  # of `double`
    whole = centre / double
    rest = (centre - whole * double).to("float32") / double.to("float32")
    position = whole.to("float32") + rest
    before = position.op("Floor")
    beside = (position - before).reshape(1, kept)
    weights = (_cubic(beside) * SCALE).op("Round")
    from_start = place.op("GreaterOrEqual", np.int64(0))
    inside = from_start.op("And", place.op("Less", axis.resized)).to("float32")
    nearest = (before.reshape(1, kept).to("int64") + TAPS).op("Max", np.int64(0))
    last = axis.side - np.int64(1)
    return (nearest.op("Min", last) + axis.first).reshape(4 * kept), weights * inside


def _cubic(beside: Value) -> Value:
    """The weights of the `TAPS`, (4, n), for distances (1, n) from the pixel before the position.

    They are computed like OpenCV's, since they are rounded later: three by polynomials, and the
    last one so that the sum is 1.
    """
    sign, shift = (np.array(row, np.float32)[:, None] for row in ([1, 1, -1, 0], [1, 0, 1, 0]))
    distance = beside * sign + shift
    weights = distance * CUBIC[0] + CUBIC[1]
    for coefficients in CUBIC[2:]:
        weights = weights * distance + coefficients
    rest = weights.sum(0) * -1 + 1
    return weights + rest * np.array([[0], [0], [0], [1]], np.float32)
