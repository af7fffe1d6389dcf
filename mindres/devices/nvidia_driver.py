"""The GPUs of this machine, from the NVIDIA driver, which a query initialises in this process."""

from __future__ import annotations

import ctypes
import functools
import os
import sys
from typing import NamedTuple

LINUX_ONLY = "MindSpore's GPU plug-in exists for Linux only"
NO_DRIVER = "there is no NVIDIA driver (libcuda.so.1) on this machine"
NO_GPU = "the NVIDIA driver finds no GPU: see nvidia-smi"
# The driver reads these when it is initialised. Without the first it loads every kernel of an
# 800 MB library at start; the second is the cache size for kernels that MindSpore sets.
VARIABLES = {"CUDA_MODULE_LOADING": "LAZY", "CUDA_CACHE_MAXSIZE": "4000000000"}
# CUDA driver API: CUDA_ERROR_NO_DEVICE, and the attributes of a device's compute capability.
NO_DEVICE, MAJOR, MINOR = 100, 75, 76


class Gpu(NamedTuple):
    """A GPU: its compute capability (major, minor) and its memory in bytes."""

    name: str
    capability: tuple[int, int]
    memory: int


@functools.cache
def query() -> tuple[tuple[Gpu, ...], str | None]:
    """The GPUs of this machine, and what keeps MindSpore from using them, or None."""
    if sys.platform != "linux":
        return (), LINUX_ONLY
    cuda = driver()
    if cuda is None:
        return (), NO_DRIVER
    for name, value in VARIABLES.items():
        os.environ.setdefault(name, value)
    number = ctypes.c_int()
    status = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(number))
    if status == NO_DEVICE or (status == 0 and not number.value):
        return (), NO_GPU
    if status:
        return (), f"the NVIDIA driver does not start ({_error(cuda, status)}): see nvidia-smi"
    gpus = tuple(_describe(cuda, index) for index in range(number.value))
    return gpus, _too_old(gpus)


def _error(cuda, status: int) -> str:
    text = ctypes.c_char_p()
    cuda.cuGetErrorString(status, ctypes.byref(text))
    return (text.value or b"").decode() or str(status)


def _too_old(gpus: tuple[Gpu, ...]) -> str | None:
    if driver_cuda() < (11, 0):
        release = ".".join(map(str, driver_cuda()))
        return f"the NVIDIA driver is for CUDA {release}: update it to 450.80 or later"
    if max(gpu.capability for gpu in gpus) < (6, 0):
        capability = ".".join(map(str, gpus[0].capability))
        return (
            f"{gpus[0].name} has compute capability {capability}, and MindSpore needs 6.0: use "
            "another GPU"
        )
    return None


@functools.cache
def driver() -> ctypes.CDLL | None:
    """The NVIDIA driver's library; None if there is no driver."""
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None


def driver_cuda() -> tuple[int, int]:
    """The latest CUDA release that the driver supports; there must be a driver."""
    version = ctypes.c_int()
    library = driver()
    assert library is not None
    library.cuDriverGetVersion(ctypes.byref(version))
    return version.value // 1000, version.value % 1000 // 10


def _describe(cuda, index: int) -> Gpu:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), MAJOR, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), MINOR, device)
    return Gpu(name.value.decode(errors="replace"), (major.value, minor.value), memory.value)
