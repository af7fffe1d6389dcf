"""Padding, shapes, groups and settings of an `nn.Conv2d` for the native operators."""

from __future__ import annotations

from typing import NamedTuple

import mindspore

from mindres.native.library import ELEMENT_TYPES


class Layout(NamedTuple):
    """The element type of a convolution, and whether its x and y are blocked."""

    dtype: mindspore.Type = mindspore.float32
    x_blocked: bool = False
    y_blocked: bool = False


PLAIN = Layout()


def settings(convolution, number, layout=PLAIN, norm=None, relu=False):
    """The `settings` tensor of an `nn.Conv2d` and an `nn.BatchNorm2d` after it: float64 (13,).

    It is `struct Settings` in cpp/convolutions.h. Operators with the same `number` have the same
    weights, see `library.weights_kept`.
    """
    padding = padding_of(convolution)
    before = (-1, -1) if padding is None else (padding[0], padding[2])
    eps, momentum = (norm.eps, norm.momentum) if norm else (0, 0)
    geometry = (*convolution.stride, *before, *convolution.dilation)
    blocked = (layout.x_blocked, layout.y_blocked)
    compute = ELEMENT_TYPES[layout.dtype]
    values = [*geometry, *blocked, eps, momentum, relu, compute, number]
    return mindspore.Tensor(values, mindspore.float64)


def padding_of(convolution):
    """(top, bottom, left, right) of an `nn.Conv2d`; None for "same", which depends on the input."""
    if convolution.pad_mode != "pad":
        return None if convolution.pad_mode == "same" else (0, 0, 0, 0)
    if isinstance(convolution.padding, tuple):
        return convolution.padding
    return (convolution.padding,) * 4


def blockable(convolution, block) -> bool:
    """Whether the operators support `convolution` on activations in blocks of `block` channels.

    Each group must consist of whole blocks, or each block of whole groups.
    """
    inputs = convolution.in_channels // convolution.group
    outputs = convolution.out_channels // convolution.group
    if not block or convolution.out_channels % block:
        return False
    if convolution.group == 1 or (inputs % block == 0 and outputs % block == 0):
        return True
    return inputs == outputs and block % inputs == 0 and convolution.in_channels % block == 0


def output_shape(stride, padding, dilation):
    """A function from the shapes of x, w and any other inputs to the shape of y."""

    def length(size, kernel, axis):
        if padding is None:
            return -(-size // stride[axis])
        reach = dilation[axis] * (kernel - 1) + 1
        return (size + padding[2 * axis] + padding[2 * axis + 1] - reach) // stride[axis] + 1

    return lambda x, w, *_: (x[0], w[0], length(x[2], w[2], 0), length(x[3], w[3], 1))
