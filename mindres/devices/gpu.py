"""Lets MindSpore's GPU plug-in load: finds the CUDA 11 libraries and loads them in time.

The MindSpore wheel on PyPI carries a GPU plug-in built for CUDA 11.6. MindSpore skips it without a
word unless `$CUDA_HOME/bin/nvcc --version` says release 11.6 or a later 11 and the plug-in's
libraries are found, both before `import mindspore` (measured on 2.10.0). This file never imports
MindSpore, and changes nothing in the process before `prepare`, except that asking the driver for
its GPUs initialises it.
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
# What the plug-in links, and the package on PyPI (nvidia-<name>-cu11) that has it. In the order of
# loading: each finds what it links among those before it.
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

# Why a library that was found could not be loaded, by its name.
load_errors: dict[str, str] = {}
# The variables that `prepare` decided on, the user's own values where there were any.
environment: dict[str, str] = {}


def count() -> int:
    """How many GPUs the machine has, whether or not MindSpore can use them."""
    return len(query()[0])


def missing() -> str | None:
    """What keeps MindSpore from using a GPU of this machine, in words; None where nothing does."""
    return "; ".join(problems()) or None


def prepare() -> None:
    """Make `import mindspore` find its GPU plug-in, where that can succeed.

    Nothing is done where it was done before, or where MindSpore has already been imported.
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
    """Load libraries for all that this process loads later; `load_errors` gets those that fail."""
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
    here = find_libraries()
    absent = [name for name in LIBRARIES if name not in here]
    if absent:
        are = "is" if len(absent) == 1 else "are"
        found.append(f"{', '.join(absent)} {are} missing: {INSTALL}")
    for name, reason in load_errors.items():
        found.append(f"{name} cannot be loaded ({reason}): {INSTALL}")
    if not private.gpu_plugin():
        found.append(f"MindSpore comes without {private.GPU_PLUGIN}: pip install mindspore==2.10.0")
    if problem := _cuda_home_problem():
        found.append(problem)
    return found


def _cuda_home_problem() -> str | None:
    """Why MindSpore would not take its plug-in for the sake of CUDA_HOME."""
    home = os.environ.get("CUDA_HOME")
    if not home:
        if own_cuda_home() is not None:
            return None
        return (
            "no folder for a program that MindSpore must run was found: set MINDRES_CACHE to a "
            "folder that can be written and run from"
        )
    release = nvcc_release(home)
    if release is None:
        return (
            f"CUDA_HOME={home} has no bin/nvcc that answers, without which MindSpore takes no GPU "
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
    """Where each of `LIBRARIES` lies, in their order; one that lies nowhere is left out.

    The user's LD_LIBRARY_PATH and CUDA_HOME come first, then the packages from PyPI, then the
    system. CUDA 12 has libraries with the names of CUDA 11's (libcurand.so.10, libcusolver.so.11),
    so a folder of the user or the system counts only if it holds CUDA 11's runtime; cuDNN may lie
    anywhere.
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
