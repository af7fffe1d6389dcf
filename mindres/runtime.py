"""Prepares the process before MindSpore is imported, and picks the device it runs on.

Two things can only be had before `import mindspore`: a oneDNN setting without which convolutions on
AVX-512 processors are slower by an order of magnitude, and the GPU libraries. That is why
`import mindres` comes first. This file never imports MindSpore at module level.
"""

from __future__ import annotations

import ctypes
import os
import sys
from pathlib import Path

from mindres.errors import UserError

DEVICES = ("auto", "CPU", "GPU", "Ascend")
ISA = "ONEDNN_MAX_CPU_ISA"


def prepare() -> None:
    """Set the environment up for MindSpore; called once, by `import mindres`.

    The device that the process asks for is read from `--device_target` on its command line or from
    `MINDRES_DEVICE_TARGET`. Variables that the user has set are left alone.
    """
    capped = requested_device() not in ("GPU", "Ascend") and onednn_needs_cap() and ISA not in os.environ
    if capped:
        os.environ[ISA] = "AVX2"
    if "mindspore" in sys.modules:
        speed = f" and the {ISA}=AVX2 that CPU speed needs holds only if no operator has run yet" if capped else ""
        print(f"mindres: warning: mindspore was imported before mindres: the GPU libraries can no longer be "
              f"loaded{speed}; import mindres first", file=sys.stderr)


def requested_device() -> str | None:
    """The device named on the command line or by `MINDRES_DEVICE_TARGET`; None where neither is there."""
    for this, following in zip(sys.argv, [*sys.argv[1:], ""]):
        if this == "--device_target":
            return following
        if this.startswith("--device_target="):
            return this.partition("=")[2]
    return os.environ.get("MINDRES_DEVICE_TARGET")


def onednn_needs_cap() -> bool:
    """Whether oneDNN, as MindSpore 2.10 calls it, falls back to its reference convolution here.

    MindSpore hands over plain (NCHW) layouts. For these oneDNN has optimised kernels up to AVX2; on
    a processor with AVX-512 it passes them over and takes the reference implementation.
    """
    return "avx512f" in processor_flags()


def processor_flags() -> set[str]:
    """Instruction sets of the processor as Linux names them; empty where that cannot be known."""
    try:
        with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
            for line in file:
                if line.startswith("flags"):
                    return set(line.partition(":")[2].split())
    except OSError:
        pass
    return set()


def set_device(target: str = "auto", device_id: int = 0) -> str:
    """Run on `target`: CPU, GPU, Ascend, or auto for the first of Ascend, GPU and CPU that is there.

    Returns the device chosen. Raises `UserError` that says what is missing for the one asked for.
    """
    if target not in DEVICES:
        raise UserError(f"unknown device {target!r}: choose one of {', '.join(DEVICES)}")
    if target == "auto":
        target = next((name for name in ("Ascend", "GPU") if not missing(name)), "CPU")
    elif lacks := missing(target):
        raise UserError(f"{target} was asked for, but {lacks}; --device_target CPU works on this machine")
    import mindspore

    try:
        mindspore.set_device(target, device_id)
    except (RuntimeError, ValueError) as error:
        if mindspore.get_context("device_target") != target:
            raise UserError(f"MindSpore cannot use {target}: {str(error).strip().splitlines()[0]}") from None
    return target


def missing(target: str) -> str | None:
    """What keeps `target` from being used on this machine, in words; None where nothing does."""
    if target == "Ascend":
        if not list(Path("/dev").glob("davinci[0-9]*")):
            return "no Ascend device (/dev/davinci0) is here: install the Ascend driver and CANN"
        if not (os.environ.get("ASCEND_HOME_PATH") or Path("/usr/local/Ascend").exists()):
            return "CANN is not installed: install it and source its set_env.sh"
    if target == "GPU":
        if sys.platform != "linux":
            return "MindSpore's GPU plug-in exists for Linux only"
        driver, version = _load("libcuda.so.1"), ctypes.c_int()
        if driver is None:
            return "there is no NVIDIA driver (libcuda.so.1) on this machine"
        if driver.cuInit(0) or driver.cuDeviceGetCount(ctypes.byref(version)) or not version.value:
            return "the NVIDIA driver finds no GPU (see nvidia-smi)"
    return None


def _load(name: str):
    try:
        return ctypes.CDLL(name)
    except OSError:
        return None
