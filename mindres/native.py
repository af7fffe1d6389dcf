"""Faster convolutions on CPU: a custom operator over MindSpore's own oneDNN, compiled at first use.

    with native.accelerated(net):
        ...  # every nn.Conv2d of net runs through mindres/convolution.cc

The operator computes what `nn.Conv2d` does, forward and backward, with the memory layouts that oneDNN prefers; names,
weights and results stay what they are. Outside the block the network is the one that it was, so that it can be
exported. Where the operator cannot be had (another device, no compiler, `MINDRES_NATIVE=0`), the block changes nothing.
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
import weakref
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path

import mindspore
from mindspore import nn, ops

from mindres import files, runtime
from mindres.errors import UserError

SWITCH = "MINDRES_NATIVE"
SOURCE = Path(__file__).with_name("convolution.cc")
FLAGS = ("-std=c++17", "-O2", "-fPIC", "-shared", "-pthread")


def why_not() -> str | None:
    """What keeps the operator from being used, in words; None where nothing does."""
    if os.environ.get(SWITCH, "1") == "0":
        return f"{SWITCH}=0 switches it off"
    if mindspore.get_context("device_target") != "CPU":
        return "it is for CPU alone"
    return _load()[1]


@functools.lru_cache(maxsize=1)
def _load() -> tuple[Path | None, str | None]:
    """The compiled operator, ready to be called, and None; or None and the reason."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return None, "it is for Linux on x86-64"
    try:
        library = _compiled()
        onednn = _onednn()
    except (UserError, OSError) as error:
        return None, str(error)
    except subprocess.CalledProcessError as error:
        return None, f"the compiler failed: {error.stderr.strip().splitlines()[-1] if error.stderr else error}"
    threads = min(len(os.sched_getaffinity(0)), mindspore.get_context("runtime_num_threads"))
    if ctypes.CDLL(str(library)).mindres_open(os.fsencode(onednn), threads, 0):
        return None, f"{onednn} cannot be used"
    return library, None


def _compiled() -> Path:
    """The shared library made of convolution.cc, from the user's cache or freshly compiled into it."""
    source = SOURCE.read_bytes()
    key = hashlib.sha256(source + " ".join(FLAGS).encode()).hexdigest()[:16]
    library = files.cache_dir() / "native" / f"convolution-{key}.so"
    if not library.exists():
        compiler = next(filter(None, map(shutil.which, (os.environ.get("CXX", ""), "g++", "c++", "clang++"))), None)
        if not compiler:
            raise UserError("there is no C++ compiler: install g++")
        # Processes that come here together each make a whole file, and the last one stays.
        with files.replacing(library) as part:
            subprocess.run([compiler, *FLAGS, str(SOURCE), "-o", str(part), "-ldl"], check=True, capture_output=True,
                           text=True)
    return library


def _onednn() -> Path:
    """MindSpore's oneDNN; where MindSpore's own must be kept from AVX-512 (see `runtime`), a copy that need not be.

    The limit binds one loaded instance of the library, and a file of another name is another instance.
    """
    original = Path(mindspore.__file__).parent / "lib" / "libdnnl.so.3"
    if not runtime.onednn_needs_cap():
        return original
    copy = files.cache_dir() / "native" / f"libdnnl-{version('mindspore')}-{original.stat().st_size}.so"
    if not copy.exists():
        with files.replacing(copy) as part:
            shutil.copyfile(original, part)
    return copy


def _custom(name, kind, out_shape, out_dtype=lambda *dtypes: dtypes[0], bprop=None):
    operator = ops.Custom(f"{_load()[0]}:{name}", out_shape, out_dtype, "aot", bprop)
    # MindSpore takes operators of equal attributes for one, whatever their shapes and gradients.
    operator.add_prim_attr("kind", str(kind))
    return operator


@functools.cache
def _convolution(stride, padding, dilation, has_bias):
    """The operator (x, w, settings[, b]) for convolutions of this kind, and their `settings`.

    `padding` is (top, bottom, left, right), or None for "same".
    """
    def length(size, kernel, axis):
        if padding is None:
            return -(-size // stride[axis])
        reach = dilation[axis] * (kernel - 1) + 1
        return (size + padding[2 * axis] + padding[2 * axis + 1] - reach) // stride[axis] + 1

    def out_shape(x, w, *_):
        return (x[0], w[0], length(x[2], w[2], 0), length(x[3], w[3], 1))

    kind = (stride, padding, dilation, has_bias)
    backward_data = _custom("convolution_backward_data", kind, lambda dy, w, settings, x: x)
    if has_bias:
        backward_weights = _custom("convolution_backward_weights", kind, lambda dy, x, settings, w: (w, (w[0],)),
                                   lambda dy, *_: (dy, dy))

        def bprop(x, w, settings, b, out, dout):
            dw, db = backward_weights(dout, x, settings, w)
            return backward_data(dout, w, settings, x), dw, ops.zeros_like(settings), db
    else:
        backward_weights = _custom("convolution_backward_weights", kind, lambda dy, x, settings, w: w)

        def bprop(x, w, settings, out, dout):
            return (backward_data(dout, w, settings, x), backward_weights(dout, x, settings, w),
                    ops.zeros_like(settings))

    before = (-1, -1) if padding is None else (padding[0], padding[2])
    settings = mindspore.Tensor([*stride, *before, *dilation], mindspore.int64)
    return _custom("convolution", kind, out_shape, bprop=bprop), settings


class NativeConv2d(nn.Conv2d):
    """What an `nn.Conv2d` is inside `accelerated`: `native` and `settings` are from `_convolution`."""

    def construct(self, x):
        if x.dtype != mindspore.float32 or self.weight.dtype != mindspore.float32:
            x = self.conv2d(x, self.weight)
            return self.bias_add(x, self.bias) if self.has_bias else x
        if self.has_bias:
            return self.native(x, self.weight, self.settings, self.bias)
        return self.native(x, self.weight, self.settings)


_seen = weakref.WeakSet()


@contextmanager
def accelerated(*nets):
    """Inside the block, the convolutions of `nets` run through the operator, where it can be had; blocks may nest.

    Graphs that were compiled inside stay compiled, and are used again the next time.
    """
    cells = [] if why_not() else list(dict.fromkeys(cell for net in nets for _, cell in net.cells_and_names()))
    switched = [cell for cell in cells if type(cell) is nn.Conv2d and cell.mixed_precision_type is None]
    for cell in cells:
        if cell not in _seen:
            _seen.add(cell)
            cell.compile_cache.clear()  # graphs without the operator would be taken for the ones with it
    for cell in switched:
        padding = cell.padding if isinstance(cell.padding, tuple) else (cell.padding,) * 4
        padding = {"same": None, "valid": (0,) * 4, "pad": padding}[cell.pad_mode]
        # Not as attributes: a cell would keep the operator in its list of primitives.
        vars(cell)["native"], vars(cell)["settings"] = _convolution(
            tuple(cell.stride), padding, tuple(cell.dilation), cell.has_bias)
        cell.__class__ = NativeConv2d
    try:
        yield
    finally:
        for cell in switched:
            cell.__class__ = nn.Conv2d
            del vars(cell)["native"], vars(cell)["settings"]
