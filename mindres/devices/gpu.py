"""Lets MindSpore's GPU plug-in load: finds the CUDA 11 libraries and hands them to it in time.

The MindSpore wheel on PyPI carries a GPU plug-in built for CUDA 11.6. It is passed over without a word unless
`$CUDA_HOME/bin/nvcc --version` says release 11.6 or a later 11 and the plug-in's libraries are found, both before
`import mindspore` (measured on 2.10.0). Nothing here touches the process before `prepare`, except that asking the
driver for its GPUs needs it initialised. This file never imports MindSpore.
"""

from __future__ import annotations

import atexit
import ctypes
import functools
import logging
import os
import re
import shutil
import subprocess
import sys
import tempfile
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

from mindres.errors import UserError

LINUX_ONLY = "MindSpore's GPU plug-in exists for Linux only"
NO_DRIVER = "there is no NVIDIA driver (libcuda.so.1) on this machine"
NO_GPU = "the NVIDIA driver finds no GPU: see nvidia-smi"
INSTALL = "pip install 'mindres[gpu]'"
PLUGIN = "lib/plugin/libmindspore_gpu.so.11.6"
# What the plug-in links, and the package on PyPI (nvidia-<name>-cu11) that has it. In the order of loading: each
# finds what it links among those before it.
LIBRARIES = {
    "libcudart.so.11.0": "cuda-runtime",
    "libcublasLt.so.11": "cublas",
    "libcublas.so.11": "cublas",
    "libnvrtc.so.11.2": "cuda-nvrtc",
    "libcufft.so.10": "cufft",
    "libcurand.so.10": "curand",
    "libcusparse.so.11": "cusparse",
    "libcusolver.so.11": "cusolver",
    "libcudnn.so.8": "cudnn",
}
# The driver reads these when it is initialised. Without the first it loads every kernel of an 800 MB library at
# start; the second is the size that MindSpore gives the cache of kernels compiled for this GPU.
SETTINGS = {"CUDA_MODULE_LOADING": "LAZY", "CUDA_CACHE_MAXSIZE": "4000000000"}
NVCC = """#!/bin/sh
# Written by mindres: MindSpore asks $CUDA_HOME/bin/nvcc for its release to choose a GPU plug-in, and asks no more.
echo "Cuda compilation tools, release 11.6, V11.6.124"
"""
SYSTEM_FOLDERS = (
    "/usr/local/cuda-11*/lib64",
    "/usr/local/cuda/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
)
# MindSpore looks for the libraries with ldd, in a process of its own that does not see those loaded here.
MISLEADING = ("need by mindspore-gpu) is not found", "Cannot find cuda libs")

# Why a library that was found could not be loaded, by its name.
load_errors: dict[str, str] = {}
# The variables that `prepare` decided on, the user's own values where there were any.
environment: dict[str, str] = {}


class Gpu(NamedTuple):
    """A GPU as the driver describes it: its compute capability (major, minor) and its memory in bytes."""

    name: str
    capability: tuple[int, int]
    memory: int


def prepare() -> None:
    """Make MindSpore, once imported, find its GPU plug-in; nothing where that cannot succeed or was done before."""
    if environment or "mindspore" in sys.modules or problems():
        return
    load(find_libraries())
    if load_errors:
        return
    os.environ["CUDA_HOME"] = os.environ.get("CUDA_HOME") or str(own_cuda_home())
    environment.update({name: os.environ[name] for name in ("CUDA_HOME", *SETTINGS)})
    logging.getLogger(f"ME.mindspore.log.{os.getpid()}").addFilter(
        lambda record: not any(text in record.getMessage() for text in MISLEADING)
    )


def load(libraries: dict[str, Path]) -> None:
    """Load libraries for everything that this process loads later; `load_errors` has those that refuse."""
    for name, path in libraries.items():
        try:
            ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
        except OSError as error:
            load_errors[name] = str(error).removeprefix(f"{path}: ")


def problems() -> list[str]:
    """What keeps MindSpore from using a GPU of this machine, each with what to do; empty where nothing does."""
    if problem := query()[1]:
        return [problem]
    found = []
    if absent := sorted(LIBRARIES.keys() - find_libraries().keys(), key=list(LIBRARIES).index):
        found.append(
            f"{', '.join(absent)} {'is' if len(absent) == 1 else 'are'} missing: {INSTALL}"
        )
    found += [
        f"{name} cannot be loaded ({reason}): {INSTALL}" for name, reason in load_errors.items()
    ]
    if not plugin():
        found.append(f"MindSpore comes without {PLUGIN}: pip install mindspore==2.10.0")
    if home := os.environ.get("CUDA_HOME"):
        release = nvcc_release(home)
        if release is None:
            found.append(
                f"CUDA_HOME={home} has no bin/nvcc that answers, without which MindSpore takes no GPU "
                "plug-in: unset CUDA_HOME"
            )
        elif not (11, 6) <= release < (12, 0):
            found.append(
                f"CUDA_HOME={home} holds CUDA {release[0]}.{release[1]}, for which MindSpore has no GPU "
                "plug-in: unset CUDA_HOME"
            )
    elif own_cuda_home() is None:
        found.append(
            "no folder for a program that MindSpore must run was found: set MINDRES_CACHE to a folder that "
            "can be written and run from"
        )
    return found


@functools.cache
def query() -> tuple[tuple[Gpu, ...], str | None]:
    """The GPUs that MindSpore can use, and what is wrong where there are none."""
    if sys.platform != "linux":
        return (), LINUX_ONLY
    cuda = driver()
    if cuda is None:
        return (), NO_DRIVER
    for name, value in SETTINGS.items():
        os.environ.setdefault(name, value)
    number = ctypes.c_int()
    status = cuda.cuInit(0) or cuda.cuDeviceGetCount(ctypes.byref(number))
    if status == 100 or (status == 0 and not number.value):
        return (), NO_GPU
    if status:
        text = ctypes.c_char_p()
        cuda.cuGetErrorString(status, ctypes.byref(text))
        return (
            (),
            f"the NVIDIA driver does not start ({(text.value or b'').decode() or status}): see nvidia-smi",
        )
    gpus = tuple(_describe(cuda, index) for index in range(number.value))
    if driver_cuda() < (11, 0):
        return (
            gpus,
            f"the NVIDIA driver is for CUDA {'.'.join(map(str, driver_cuda()))}: update it to 450.80 or later",
        )
    if max(gpu.capability for gpu in gpus) < (6, 0):
        return (
            gpus,
            f"{gpus[0].name} has compute capability {'.'.join(map(str, gpus[0].capability))}, and MindSpore "
            "needs 6.0: use another GPU",
        )
    return gpus, None


@functools.cache
def driver() -> ctypes.CDLL | None:
    """The NVIDIA driver's library; None on a machine without one."""
    try:
        return ctypes.CDLL("libcuda.so.1")
    except OSError:
        return None


def driver_cuda() -> tuple[int, int]:
    """The CUDA release that the driver is for."""
    version = ctypes.c_int()
    driver().cuDriverGetVersion(ctypes.byref(version))
    return version.value // 1000, version.value % 1000 // 10


def _describe(cuda, index: int) -> Gpu:
    device, major, minor = ctypes.c_int(), ctypes.c_int(), ctypes.c_int()
    name, memory = ctypes.create_string_buffer(256), ctypes.c_size_t()
    cuda.cuDeviceGet(ctypes.byref(device), index)
    cuda.cuDeviceGetName(name, len(name), device)
    cuda.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    cuda.cuDeviceGetAttribute(ctypes.byref(major), 75, device)
    cuda.cuDeviceGetAttribute(ctypes.byref(minor), 76, device)
    return Gpu(name.value.decode(errors="replace"), (major.value, minor.value), memory.value)


def plugin() -> Path | None:
    """MindSpore's GPU plug-in; None where MindSpore is not installed or comes without one."""
    spec = PathFinder.find_spec("mindspore")
    path = Path(spec.origin).parent / PLUGIN if spec and spec.origin else None
    return path if path and path.exists() else None


def find_libraries() -> dict[str, Path]:
    """Where each of `LIBRARIES` lies, in their order; one that lies nowhere is left out.

    The user's LD_LIBRARY_PATH and CUDA_HOME come first, then the packages from PyPI, then the system. CUDA 12 has
    libraries with the names of CUDA 11's (libcurand.so.10, libcusolver.so.11), so of these places only those that
    hold CUDA 11's runtime count; cuDNN may lie anywhere.
    """
    named = [Path(folder) for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    if os.environ.get("CUDA_HOME"):
        named.append(Path(os.environ["CUDA_HOME"], "lib64"))
    system = [Path(sys.prefix, "lib")]  # conda's
    for pattern in SYSTEM_FOLDERS:
        system += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    found = {}
    for name, package in LIBRARIES.items():
        packages = [Path(entry, "nvidia", package.replace("-", "_"), "lib") for entry in sys.path]
        for folder in [*named, *packages, *system]:
            counts = (
                folder in packages or package == "cudnn" or (folder / "libcudart.so.11.0").exists()
            )
            if counts and (folder / name).exists():
                found[name] = folder / name
                break
    return found


def nvcc_release(home) -> tuple[int, int] | None:
    """The CUDA release that `home`/bin/nvcc says it is of; None where it does not answer."""
    try:
        answer = subprocess.run(
            [Path(home, "bin", "nvcc"), "--version"],
            capture_output=True,
            text=True,
            timeout=10,
            stdin=subprocess.DEVNULL,
            check=False,
        ).stdout
    except (OSError, ValueError, subprocess.TimeoutExpired):
        return None
    release = re.search(r"release (\d+)\.(\d+),", answer)
    return (int(release[1]), int(release[2])) if release else None


@functools.cache
def own_cuda_home() -> Path | None:
    """A folder whose `bin/nvcc` gives the answer that MindSpore wants, in the user's cache.

    Made whole elsewhere and renamed into place, so that of several processes one wins and all may use it. A cache that
    cannot be written or run from, or where somebody else could have put a program, is passed over for a temporary
    folder that goes with the process; None where that does not do either.
    """
    from mindres.files import (
        cache_dir,
        make_folder,
    )  # which costs half of what `import mindres` takes

    try:
        cached = cache_dir() / "cuda-11.6"
        if not cached.exists():
            _install(make_folder(cached.parent), cached)
        if _private(cached) and nvcc_release(cached) == (11, 6):
            return cached
    except (OSError, UserError):
        pass
    try:
        folder = Path(tempfile.mkdtemp(prefix="mindres-cuda-"))
        atexit.register(shutil.rmtree, folder, ignore_errors=True)
        _install(folder, folder / "cuda-11.6")
    except OSError:
        return None
    return folder / "cuda-11.6" if nvcc_release(folder / "cuda-11.6") == (11, 6) else None


def _install(parent: Path, home: Path) -> None:
    part = Path(tempfile.mkdtemp(prefix=".cuda-", dir=parent))
    try:
        (part / "bin").mkdir(mode=0o700)
        (part / "bin" / "nvcc").write_text(NVCC, encoding="ascii")
        (part / "bin" / "nvcc").chmod(0o700)
        part.rename(home)
    except OSError:
        shutil.rmtree(part, ignore_errors=True)
        if not home.exists():
            raise


def _private(home: Path) -> bool:
    for path in (home, home / "bin", home / "bin" / "nvcc"):
        status = path.lstat()
        if status.st_uid != os.getuid() or status.st_mode & 0o022:
            return False
    return (home / "bin" / "nvcc").read_text(encoding="ascii", errors="replace") == NVCC
