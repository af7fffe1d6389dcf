"""Convolution, batch normalisation and ReLU as operators for CPU over MindSpore's own oneDNN.

The C++ code is in cpp/operators.cc and its headers; `library` loads it, and `accelerate` puts the
operators into networks.

An activation between two of these operators may be "blocked": it has the usual shape, but its
values are in another order than MindSpore assumes. Elementwise operators, such as an addition,
still work on it.
"""

from __future__ import annotations

import functools

import mindspore
from mindspore import ops

from mindres.native.custom import custom_operator
from mindres.native.geometry import output_shape, padding_of


def convolution(cell, dtype=mindspore.float32):
    """The operator of an `nn.Conv2d`, from (x, w, settings[, bias]) to y of type `dtype`."""
    geometry = tuple(cell.stride), padding_of(cell), tuple(cell.dilation)
    return _convolution(*geometry, cell.has_bias, dtype)


@functools.cache
def _convolution(stride, padding, dilation, has_bias, dtype):
    kind = (stride, padding, dilation, has_bias)
    backward_data, backward_weights = _convolution_gradients(kind)
    if has_bias:

        def bprop(x, w, settings, bias, out, dout):
            dw, db = backward_weights(dout, x, settings, w, bias)
            return backward_data(dout, w, settings, x), dw, ops.zeros_like(settings), db
    else:

        def bprop(x, w, settings, out, dout):  # type: ignore[misc]
            dw = backward_weights(dout, x, settings, w)
            return backward_data(dout, w, settings, x), dw, ops.zeros_like(settings)

    shape = output_shape(stride, padding, dilation)
    return custom_operator("convolution", kind, (), bprop, shape, dtype)


@functools.cache
def _convolution_gradients(kind):
    """Operators from (dy, w, settings, x) to dx, and (dy, x, settings, w[, bias]) to dw[, db]."""
    has_bias = kind[-1]
    backward_weights = custom_operator(
        "convolution_backward_weights", kind, (3, 4) if has_bias else (3,)
    )
    return custom_operator("convolution_backward_data", kind, (3,)), backward_weights


def convolution_norm(cell, identity=False, dtype=mindspore.float32):
    """The operator of a convolution and a normalisation with given statistics.

    From (x, w, gamma, beta, mean, variance, settings[, identity]) it computes
    y = relu(norm(convolution(x, w)) + identity), where y and identity are blocked. Its gradient
    repeats the convolution.
    """
    geometry = tuple(cell.stride), padding_of(cell), tuple(cell.dilation)
    return _convolution_norm(*geometry, identity, dtype)


@functools.cache
def _convolution_norm(stride, padding, dilation, identity, dtype):
    forward = _convolution(stride, padding, dilation, False, dtype)
    backward_data, backward_weights = _convolution_gradients((stride, padding, dilation, False))
    norm_gradient = _norm_gradient("frozen_norm_backward", identity)

    def gradients(x, w, mean, variance, settings, dz, dgamma, dbeta):
        dx = backward_data(dz, w, settings, x)
        dw = backward_weights(dz, x, settings, w)
        constants = ops.zeros_like(mean), ops.zeros_like(variance), ops.zeros_like(settings)
        return (dx, dw, dgamma, dbeta, *constants)

    if identity:

        def bprop(x, w, gamma, beta, mean, variance, settings, identity, out, dout):
            z = forward(x, w, settings)
            dz, dgamma, dbeta, didentity = norm_gradient(
                dout, out, z, gamma, mean, variance, settings
            )
            others = gradients(x, w, mean, variance, settings, dz, dgamma, dbeta)
            return (*others, didentity)
    else:

        def bprop(x, w, gamma, beta, mean, variance, settings, out, dout):  # type: ignore[misc]
            z = forward(x, w, settings)
            dz, dgamma, dbeta = norm_gradient(dout, out, z, gamma, mean, variance, settings)
            return gradients(x, w, mean, variance, settings, dz, dgamma, dbeta)

    shape = output_shape(stride, padding, dilation)
    kind = (stride, padding, dilation, identity)
    return custom_operator("convolution_norm", kind, (), bprop, shape, dtype)


@functools.cache
def norm(identity=False):
    """The operator of a normalisation with the statistics of the batch.

    From (z, gamma, beta, moving mean, moving variance, settings[, identity]) it computes (y, mean,
    rstd) with y = relu(norm(z) + identity), where z, y and identity are blocked. It updates the
    moving statistics in place.
    """
    gradient = _norm_gradient("norm_backward", identity)

    def constants(moving_mean, moving_variance, settings):
        moving = ops.zeros_like(moving_mean), ops.zeros_like(moving_variance)
        return (*moving, ops.zeros_like(settings))

    if identity:

        def bprop(z, gamma, beta, moving_mean, moving_variance, settings, identity, out, dout):
            dz, dgamma, dbeta, didentity = gradient(
                dout[0], out[0], z, gamma, out[1], out[2], settings
            )
            others = constants(moving_mean, moving_variance, settings)
            return (dz, dgamma, dbeta, *others, didentity)
    else:

        def bprop(z, gamma, beta, moving_mean, moving_variance, settings, out, dout):  # type: ignore[misc]
            dz, dgamma, dbeta = gradient(dout[0], out[0], z, gamma, out[1], out[2], settings)
            return (dz, dgamma, dbeta, *constants(moving_mean, moving_variance, settings))

    written = (False, False, False, True, True, False, *([False] if identity else []))
    return custom_operator("norm", identity, (0, 1, 1), bprop, written=written)


def _norm_gradient(name, identity):
    """The operator from (dy, y, z, gamma, mean, rstd or variance, settings) to the gradients."""
    return custom_operator(name, identity, (2, 3, 3, 2) if identity else (2, 3, 3))


@functools.cache
def reorders(dtype=mindspore.float32):
    """The operators from plain float32 tensors to blocked ones of type `dtype`, and back.

    Each is the gradient of the other.
    """
    plain_gradient = custom_operator("to_plain", "gradient", (0,), None, None, mindspore.float32)
    blocked_gradient = custom_operator("to_blocked", "gradient", (0,), None, None, dtype)

    def to_blocked_bprop(x, out, dout):
        return (plain_gradient(dout),)

    def to_plain_bprop(x, out, dout):
        return (blocked_gradient(dout),)

    return (
        custom_operator("to_blocked", "", (0,), to_blocked_bprop, None, dtype),
        custom_operator("to_plain", "", (0,), to_plain_bprop, None, mindspore.float32),
    )


@functools.cache
def fork():
    """The operator from x to (x, x), for a tensor that is used twice.

    Its gradient adds the two gradients, which MindSpore cannot do in every element type.
    """
    add = custom_operator("add", "", (0,))

    def bprop(x, out, dout):
        return (add(dout[0], dout[1]),)

    return custom_operator("fork", "", (0, 0), bprop)
