"""NVIDIA GPUs of this machine: the driver, the GPUs, and the libraries of MindSpore's plug-in."""

from __future__ import annotations

import os
import re
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from mindres.compat import mindspore as private
from mindres.devices import gpu, nvidia_driver

MODULE = Path("/proc/driver/nvidia/version")


def nvidia() -> dict:
    """The driver, its GPUs, and the paths of the plug-in's libraries or how to install them."""
    gpus, problem = nvidia_driver.query()
    found = gpu.find_libraries()
    if gpus:
        gpu.load(found)
    plugin = private.gpu_plugin()
    return {
        "driver": _driver_release(),
        "driver_cuda": ".".join(map(str, nvidia_driver.driver_cuda())) if gpus else None,
        "gpus": [_described(card) for card in gpus],
        "plugin": str(plugin) if plugin else None,
        "libraries": [_library(name, found.get(name)) for name in gpu.LIBRARIES],
        "CUDA_HOME": os.environ.get("CUDA_HOME"),
        "problem": problem or gpu.missing(),
    }


def _driver_release() -> str | None:
    if not MODULE.exists():
        return None
    release = re.search(r"\s(\d+\.[\d.]+)\s", MODULE.read_text())
    return release[1] if release else None


def _described(card: nvidia_driver.Gpu) -> dict:
    return {
        "name": card.name,
        "compute_capability": ".".join(map(str, card.capability)),
        "memory_gib": round(card.memory / 2**30, 1),
    }


def _library(name: str, path: Path | None) -> dict:
    package = gpu.LIBRARIES[name]
    wrong = gpu.load_errors.get(name)
    if not path:
        problem = f"missing: {gpu.INSTALL}"
    elif wrong:
        problem = f"cannot be loaded ({wrong}): {gpu.INSTALL}"
    else:
        problem = None
    return {
        "name": name,
        "path": str(path) if path else None,
        "from": origin(path, package) if path else None,
        "problem": problem,
    }


def origin(path: Path, package: str) -> str:
    """The package that a library comes from, or "the system"."""
    name = f"nvidia-{package}-cu11"
    if path.parent.parent.parent.name != "nvidia":
        return "the system"
    try:
        return f"{name} {version(name)}"
    except PackageNotFoundError:
        return name
