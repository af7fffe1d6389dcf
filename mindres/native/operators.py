"""Operators for CPU over MindSpore's own oneDNN, in the layouts that oneDNN prefers.

The C++ is in cpp/operators.cc and three headers; a wheel brings it compiled, else that is done at first use.
`mindres.accelerate` puts the operators into networks. Where they cannot be had (another device, neither wheel nor
compiler, `MINDRES_NATIVE=0`) networks run as they are, and slower.

A tensor between two of these operators may be "blocked": its memory is in another order than MindSpore takes it for,
its shape is the usual one. Whatever treats all values alike, such as an addition, works on it all the same.
"""

from __future__ import annotations

import ctypes
import functools
import hashlib
import os
import platform
import shutil
import subprocess
import sys
from contextlib import contextmanager, suppress
from importlib.metadata import version
from pathlib import Path

import mindspore
from mindspore import ops

from mindres import files
from mindres.devices import runtime
from mindres.errors import UserError
from mindres.native import build

SWITCH = "MINDRES_NATIVE"
ISA = 0  # oneDNN's dnnl_cpu_isa_t: all that the processor has


def why_not() -> str | None:
    """What keeps the operators from being used, in words; None where nothing does."""
    if os.environ.get(SWITCH, "1") == "0":
        return f"{SWITCH}=0 switches it off"
    if mindspore.get_context("device_target") != "CPU":
        return "it is for CPU alone"
    return load()[1]


@functools.lru_cache(maxsize=1)
def load() -> tuple[Path | None, str | None, int]:
    """The compiled library, ready to be called, None, and the channels in a block; or None, the reason, and 0."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None, "it is for Linux on x86-64", 0
    try:
        path, onednn = _compiled(), _onednn()
        library = ctypes.CDLL(str(path))
    except (UserError, OSError) as error:
        return None, str(error), 0
    except subprocess.CalledProcessError as error:
        return (
            None,
            f"the compiler failed: {error.stderr.strip().splitlines()[-1] if error.stderr else error}",
            0,
        )
    threads = min(len(os.sched_getaffinity(0)), mindspore.get_context("runtime_num_threads"))
    if library.mindres_open(os.fsencode(onednn), threads, ISA):
        return None, f"{onednn} cannot be used", 0
    return path, None, library.mindres_block()


def _compiled() -> Path:
    """The operators' shared library for this processor: the wheel's, or compiled into the user's cache."""
    flags = runtime.processor_flags()
    if library := build.from_wheel(flags):
        with suppress(OSError):  # built for a newer C library than this system's
            ctypes.CDLL(str(library))
            return library
    key = hashlib.sha256(" ".join([*build.FLAGS, *build.NATIVE, *sorted(flags)]).encode())
    for source in build.SOURCES:
        key.update(source.read_bytes())
    library = files.cache_dir() / "native" / f"operators-{key.hexdigest()[:16]}.so"
    if not library.exists():
        compiler = build.find_compiler()
        if not compiler:
            raise UserError("there is no C++ compiler: install g++")
        # The first process compiles. A library that another process has loaded must not be replaced:
        # MindSpore would load the new one as well, which was never opened, and crash.
        with files.locked(library.parent):
            if not library.exists():
                with files.replacing(library) as part:
                    build.compile_operators(compiler, part)
    return library


def _onednn() -> Path:
    """MindSpore's oneDNN; where MindSpore's own must be kept from AVX-512 (see `runtime`), a copy that need not be.

    The limit binds one loaded instance of the library, and a file of another name is another instance.
    """
    original = Path(mindspore.__file__).parent / "lib" / "libdnnl.so.3"
    if not runtime.onednn_needs_cap():
        return original
    copy = (
        files.cache_dir()
        / "native"
        / f"libdnnl-{version('mindspore')}-{original.stat().st_size}.so"
    )
    if not copy.exists():
        with files.replacing(copy) as part:
            shutil.copyfile(original, part)
    return copy


def _operator(name, kind, out_shape, bprop=None, outputs=1):
    """The operator `name`; its type is that of its first input, `kind` tells it from others of the same name."""

    def out_dtype(first, *_):
        return (first,) * outputs if outputs > 1 else first

    operator = ops.Custom(f"{load()[0]}:{name}", out_shape, out_dtype, "aot", bprop)
    # MindSpore takes operators of equal attributes for one, whatever their shapes and gradients.
    operator.add_prim_attr("kind", str(kind))
    return operator


def settings(convolution, number, x_blocked=False, y_blocked=False, norm=None, relu=False):
    """The `settings` tensor, see cpp/operators.cc, of an `nn.Conv2d` and an `nn.BatchNorm2d` after it.

    The operators with one `number` have the same weights, for `fixed`.
    """
    padding = padding_of(convolution)
    before = (-1, -1) if padding is None else (padding[0], padding[2])
    eps, momentum = (norm.eps, norm.momentum) if norm else (0, 0)
    return mindspore.Tensor(
        [
            *convolution.stride,
            *before,
            *convolution.dilation,
            x_blocked,
            y_blocked,
            eps,
            momentum,
            relu,
            number,
        ],
        mindspore.float64,
    )


@contextmanager
def fixed(numbers):
    """Inside the block the weights of the operators with these numbers do not change: they are reordered once."""
    library = ctypes.CDLL(str(load()[0])) if numbers else None
    for number in numbers:
        library.mindres_hold(ctypes.c_int64(number))
    try:
        yield
    finally:
        for number in numbers:
            library.mindres_release(ctypes.c_int64(number))


def padding_of(convolution):
    """(top, bottom, left, right) of an `nn.Conv2d`; None for "same", which depends on the input."""
    if convolution.pad_mode != "pad":
        return None if convolution.pad_mode == "same" else (0, 0, 0, 0)
    return (
        convolution.padding
        if isinstance(convolution.padding, tuple)
        else (convolution.padding,) * 4
    )


def _output_shape(stride, padding, dilation):
    def length(size, kernel, axis):
        if padding is None:
            return -(-size // stride[axis])
        reach = dilation[axis] * (kernel - 1) + 1
        return (size + padding[2 * axis] + padding[2 * axis + 1] - reach) // stride[axis] + 1

    return lambda x, w, *_: (x[0], w[0], length(x[2], w[2], 0), length(x[3], w[3], 1))


def convolution(cell):
    """The operator (x, w, settings[, bias]) to y that computes what the `nn.Conv2d` does."""
    return _convolution(tuple(cell.stride), padding_of(cell), tuple(cell.dilation), cell.has_bias)


@functools.cache
def _convolution(stride, padding, dilation, has_bias):
    kind = (stride, padding, dilation, has_bias)
    backward_data, backward_weights = _backward(kind)
    if has_bias:

        def bprop(x, w, settings, bias, out, dout):
            dw, db = backward_weights(dout, x, settings, w)
            return backward_data(dout, w, settings, x), dw, ops.zeros_like(settings), db
    else:

        def bprop(x, w, settings, out, dout):
            return (
                backward_data(dout, w, settings, x),
                backward_weights(dout, x, settings, w),
                ops.zeros_like(settings),
            )

    return _operator("convolution", kind, _output_shape(stride, padding, dilation), bprop)


@functools.cache
def _backward(kind):
    backward_data = _operator("convolution_backward_data", kind, lambda dy, w, settings, x: x)
    if kind[-1]:
        return backward_data, _operator(
            "convolution_backward_weights", kind, lambda dy, x, settings, w: (w, (w[0],)), outputs=2
        )
    return backward_data, _operator(
        "convolution_backward_weights", kind, lambda dy, x, settings, w: w
    )


def convolution_norm(cell, identity=False):
    """The operator (x, w, gamma, beta, mean, variance, settings[, identity]) to y = relu(norm(w * x) + identity).

    The statistics are given; y and the identity are blocked. Its gradient repeats the convolution.
    """
    return _convolution_norm(tuple(cell.stride), padding_of(cell), tuple(cell.dilation), identity)


@functools.cache
def _convolution_norm(stride, padding, dilation, identity):
    forward = _convolution(stride, padding, dilation, False)
    backward_data, backward_weights = _backward((stride, padding, dilation, False))
    norm_backward = _norm_backward("frozen_norm_backward", identity)
    if identity:

        def bprop(x, w, gamma, beta, mean, variance, settings, identity, out, dout):
            z = forward(x, w, settings)
            dz, dgamma, dbeta, didentity = norm_backward(
                dout, out, z, gamma, mean, variance, settings
            )
            return (
                backward_data(dz, w, settings, x),
                backward_weights(dz, x, settings, w),
                dgamma,
                dbeta,
                ops.zeros_like(mean),
                ops.zeros_like(variance),
                ops.zeros_like(settings),
                didentity,
            )
    else:

        def bprop(x, w, gamma, beta, mean, variance, settings, out, dout):
            z = forward(x, w, settings)
            dz, dgamma, dbeta = norm_backward(dout, out, z, gamma, mean, variance, settings)
            return (
                backward_data(dz, w, settings, x),
                backward_weights(dz, x, settings, w),
                dgamma,
                dbeta,
                ops.zeros_like(mean),
                ops.zeros_like(variance),
                ops.zeros_like(settings),
            )

    kind = (stride, padding, dilation, identity)
    return _operator("convolution_norm", kind, _output_shape(stride, padding, dilation), bprop)


@functools.cache
def norm(identity=False):
    """The operator (z, gamma, beta, moving mean, moving variance, settings[, identity]) to (y, mean, rstd).

    y = relu(norm(z) + identity) with the statistics of the batch, which the moving ones follow in place: MindSpore
    does not know it. z, y and the identity are blocked.
    """
    backward = _norm_backward("norm_backward", identity)
    if identity:

        def bprop(z, gamma, beta, moving_mean, moving_variance, settings, identity, out, dout):
            dz, dgamma, dbeta, didentity = backward(
                dout[0], out[0], z, gamma, out[1], out[2], settings
            )
            return (
                dz,
                dgamma,
                dbeta,
                ops.zeros_like(moving_mean),
                ops.zeros_like(moving_variance),
                ops.zeros_like(settings),
                didentity,
            )
    else:

        def bprop(z, gamma, beta, moving_mean, moving_variance, settings, out, dout):
            dz, dgamma, dbeta = backward(dout[0], out[0], z, gamma, out[1], out[2], settings)
            return (
                dz,
                dgamma,
                dbeta,
                ops.zeros_like(moving_mean),
                ops.zeros_like(moving_variance),
                ops.zeros_like(settings),
            )

    return _operator("norm", identity, lambda z, gamma, *_: (z, gamma, gamma), bprop, outputs=3)


def _norm_backward(name, identity):
    def out_shape(dy, y, z, gamma, *_):
        return (z, gamma, gamma, z) if identity else (z, gamma, gamma)

    return _operator(name, identity, out_shape, outputs=4 if identity else 3)


@functools.cache
def reorders():
    """The operators that make a plain tensor blocked, and a blocked one plain; each is the other's gradient."""
    plain_gradient = _operator("to_plain", "gradient", lambda x: x)
    blocked_gradient = _operator("to_blocked", "gradient", lambda x: x)

    def to_blocked_bprop(x, out, dout):
        return (plain_gradient(dout),)

    def to_plain_bprop(x, out, dout):
        return (blocked_gradient(dout),)

    return (
        _operator("to_blocked", "", lambda x: x, to_blocked_bprop),
        _operator("to_plain", "", lambda x: x, to_plain_bprop),
    )
