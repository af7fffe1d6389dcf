"""Finds the CUDA 11 libraries and loads them, so that MindSpore can load its GPU plug-in.

The MindSpore wheel on PyPI has a GPU plug-in built for CUDA 11.6. MindSpore silently skips it
unless, before `import mindspore`, `$CUDA_HOME/bin/nvcc --version` prints release 11.6 or a later
11 and the plug-in's libraries are found (tested with 2.10.0). This file never imports MindSpore.
Until `prepare` it changes nothing in the process, except that asking the driver for its GPUs
initialises the driver.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from mindres.compat import mindspore as private
from mindres.devices.nvcc_stub import nvcc_release, own_cuda_home
from mindres.devices.nvidia_driver import VARIABLES, query

INSTALL = "pip install 'mindres[gpu]'"
# The libraries that the plug-in links to, and the name of their package on PyPI,
# nvidia-<name>-cu11. They are loaded in this order: each links to earlier ones only.
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
SYSTEM_FOLDERS = (
    "/usr/local/cuda-11*/lib64",
    "/usr/local/cuda/lib64",
    "/usr/lib/x86_64-linux-gnu",
    "/usr/lib64",
)

# Why libraries that were found could not be loaded, by name.
load_errors: dict[str, str] = {}
# The environment variables that `prepare` used, the user's values included.
environment: dict[str, str] = {}


def count() -> int:
    """How many GPUs the machine has, whether or not MindSpore can use them."""
    return len(query()[0])


def missing() -> str | None:
    """What keeps MindSpore from using a GPU of this machine; None if nothing does."""
    return "; ".join(problems()) or None


def prepare() -> None:
    """Make `import mindspore` find its GPU plug-in, if it can be used.

    Does nothing the second time, or if MindSpore has already been imported.
    """
    if environment or "mindspore" in sys.modules or problems():
        return
    load(find_libraries())
    if load_errors:
        return
    os.environ["CUDA_HOME"] = os.environ.get("CUDA_HOME") or str(own_cuda_home())
    environment.update({name: os.environ[name] for name in ("CUDA_HOME", *VARIABLES)})
    private.silence_missing_libraries()


def load(libraries: dict[str, Path]) -> None:
    """Load libraries with global symbols; failures go to `load_errors`."""
    for name, path in libraries.items():
        try:
            ctypes.CDLL(str(path), ctypes.RTLD_GLOBAL)
        except OSError as error:
            load_errors[name] = str(error).removeprefix(f"{path}: ")


def problems() -> list[str]:
    """What keeps MindSpore from using a GPU of this machine, each with what to do about it."""
    if problem := query()[1]:
        return [problem]
    found = []
    libraries = find_libraries()
    absent = [name for name in LIBRARIES if name not in libraries]
    if absent:
        are = "is" if len(absent) == 1 else "are"
        found.append(f"{', '.join(absent)} {are} missing: {INSTALL}")
    for name, reason in load_errors.items():
        found.append(f"{name} cannot be loaded ({reason}): {INSTALL}")
    if not private.gpu_plugin():
        found.append(f"MindSpore lacks {private.GPU_PLUGIN}: pip install mindspore==2.10.0")
    if problem := _cuda_home_problem():
        found.append(problem)
    return found


def _cuda_home_problem() -> str | None:
    """Why MindSpore would skip its plug-in because of CUDA_HOME; None if it would not."""
    home = os.environ.get("CUDA_HOME")
    if not home:
        if own_cuda_home() is not None:
            return None
        return (
            "MindSpore must run a program for which no folder was found: set MINDRES_CACHE to a "
            "folder that can be written to and run from"
        )
    release = nvcc_release(home)
    if release is None:
        return (
            f"CUDA_HOME={home} has no working bin/nvcc, without which MindSpore loads no GPU "
            "plug-in: unset CUDA_HOME"
        )
    first, after = private.NVCC_RELEASES
    if not first <= release < after:
        return (
            f"CUDA_HOME={home} holds CUDA {release[0]}.{release[1]}, for which MindSpore has no "
            "GPU plug-in: unset CUDA_HOME"
        )
    return None


def find_libraries() -> dict[str, Path]:
    """The paths of those `LIBRARIES` that are found, in their order.

    LD_LIBRARY_PATH and CUDA_HOME come first, then the packages from PyPI, then the system's
    folders. CUDA 12 has libraries with the names of CUDA 11's (libcurand.so.10,
    libcusolver.so.11), so a folder that is not a package's must hold the runtime of CUDA 11. cuDNN
    may be in any folder.
    """
    user = [Path(folder) for folder in os.environ.get("LD_LIBRARY_PATH", "").split(":") if folder]
    if os.environ.get("CUDA_HOME"):
        user.append(Path(os.environ["CUDA_HOME"], "lib64"))
    system = [Path(sys.prefix, "lib")]  # conda's
    for pattern in SYSTEM_FOLDERS:
        system += sorted(Path("/").glob(pattern.lstrip("/")), reverse=True)
    found = {}
    for name, package in LIBRARIES.items():
        packages = [Path(entry, "nvidia", package.replace("-", "_"), "lib") for entry in sys.path]
        for folder in [*user, *packages, *system]:
            trusted = folder in packages or package == "cudnn"
            holds_cuda_11 = trusted or (folder / "libcudart.so.11.0").exists()
            if holds_cuda_11 and (folder / name).exists():
                found[name] = folder / name
                break
    return found
