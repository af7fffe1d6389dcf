"""Finds or compiles the library of the native operators, and loads it.

Wheels contain the library; otherwise it is compiled into the user's cache on first use (`build`).
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
from typing import NamedTuple

import mindspore

from mindres import files, settings, signals
from mindres.compat import mindspore as private
from mindres.devices import cpu
from mindres.errors import UserError
from mindres.native import build

SWITCH = "MINDRES_NATIVE"
# The element types of activations, with oneDNN's numbers (cpp/onednn.h).
ELEMENT_TYPES = {mindspore.float32: 3, mindspore.bfloat16: 2}
ISA = 0  # oneDNN's dnnl_cpu_isa_t: all instruction sets of the processor


class Library(NamedTuple):
    """The shared library.

    path: its path; None if there is none.
    absent: why there is none, or None.
    blocks: channels in a block of activations by element type; 0 if they are not blocked here.
    """

    path: Path | None = None
    absent: str | None = None
    blocks: dict = {}


def why_not(dtype=mindspore.float32) -> str | None:
    """Why the operators cannot be used for activations of `dtype`; None if they can."""
    if settings.get(SWITCH) == "0":
        return f"{SWITCH}=0 switches it off"
    if mindspore.get_context("device_target") != "CPU":
        return "it is for CPU only"
    if absent := load().absent:
        return absent
    if dtype == mindspore.bfloat16 and not (cpu.has_bfloat16() and load().blocks[dtype]):
        return "the processor has no bfloat16 (avx512_bf16 or amx_bf16)"
    return None


@functools.lru_cache(maxsize=1)
def load() -> Library:
    """The library, compiled if necessary and ready for use, or why there is none."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        return Library(absent="it is for Linux on x86-64")
    try:
        path, onednn = _compiled(), onednn_path()
        library = ctypes.CDLL(str(path))
    except (UserError, OSError) as error:
        return Library(absent=str(error))
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines()[-1] if error.stderr else error
        return Library(absent=f"the compiler failed: {reason}")
    threads = min(len(os.sched_getaffinity(0)), mindspore.get_context("runtime_num_threads"))
    if library.mindres_open(os.fsencode(onednn), threads, ISA):
        return Library(absent=f"{onednn} cannot be used")
    signals.use_native_handler(library.mindres_see_senders)
    blocks = {dtype: library.mindres_block(number) for dtype, number in ELEMENT_TYPES.items()}
    return Library(path, None, blocks)


@contextmanager
def weights_kept(numbers):
    """Reorder the weights of the operators with these numbers only once in this block.

    The weights must not change in the block.
    """
    library = ctypes.CDLL(str(load().path)) if numbers else None
    for number in numbers:
        library.mindres_keep_weights(ctypes.c_int64(number))
    try:
        yield
    finally:
        for number in numbers:
            library.mindres_forget_weights(ctypes.c_int64(number))


def _compiled() -> Path:
    """The shared library for this processor: the wheel's, or one compiled into the user's cache."""
    flags = cpu.instruction_sets()
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
        # The first process compiles. A library that another process has loaded must not be
        # replaced: MindSpore would also load the new one, which was not initialised, and crash.
        with files.locked(library.parent):
            if not library.exists():
                with files.atomic_write(library) as part:
                    build.compile_operators(compiler, part)
    return library


def onednn_path() -> Path:
    """MindSpore's oneDNN, or a copy of it if MindSpore's is limited to AVX2 (see `devices.cpu`).

    The limit applies to each loaded instance, and a file of another name is a separate instance.
    """
    original = private.onednn_library()
    if not cpu.onednn_needs_limit():
        return original
    name = f"libdnnl-{version('mindspore')}-{original.stat().st_size}.so"
    copy = files.cache_dir() / "native" / name
    if not copy.exists():
        with files.atomic_write(copy) as part:
            shutil.copyfile(original, part)
    return copy
