"""Prepares the process before MindSpore is imported, and picks the device it runs on.

Two things can only be had before `import mindspore`: a oneDNN setting without which convolutions on
AVX-512 processors are slower by an order of magnitude, and the GPU libraries (see `mindres.gpu`). That is
why `import mindres` comes first. This file never imports MindSpore at module level.
"""

from __future__ import annotations

import atexit
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder
from pathlib import Path
from typing import NamedTuple

from mindres.devices import gpu
from mindres.errors import UserError
from mindres.signals import interrupted_later

DEVICES = ("auto", "CPU", "GPU", "Ascend")
ISA = "ONEDNN_MAX_CPU_ISA"
NO_ASCEND = "no Ascend device (/dev/davinci0) is here: install the Ascend driver and CANN"
# No fault of a machine that was never meant to have the device.
NOT_HERE = (NO_ASCEND, gpu.NO_DRIVER, gpu.NO_GPU, gpu.LINUX_ONLY)


class Defaults(NamedTuple):
    """How a device is best trained on: graph or PyNative mode, data sinking, and mixed precision."""

    mode: str
    dataset_sink_mode: bool
    amp_level: str


# Sinking keeps the steps of an epoch on the device, without a return to Python; on CPU there is no device to sink to.
# O2 trains in half precision and keeps batch normalisation in single.
DEFAULTS = {
    "CPU": Defaults("graph", False, "O0"),
    "GPU": Defaults("graph", True, "O2"),
    "Ascend": Defaults("graph", True, "O2"),
}
_asked_for: str | None = None


def prepare() -> None:
    """Set the environment up for MindSpore; called once, by `import mindres`.

    The device that the process asks for is read from `--device_target` on its command line or from
    `MINDRES_DEVICE_TARGET`. Variables that the user has set are left alone.
    """
    capped = (
        requested_device() not in ("GPU", "Ascend") and onednn_needs_cap() and ISA not in os.environ
    )
    if capped:
        os.environ[ISA] = "AVX2"
    if "mindspore" in sys.modules:
        speed = (
            f" and the {ISA}=AVX2 that CPU speed needs holds only if no operator has run yet"
            if capped
            else ""
        )
        print(
            f"mindres: warning: mindspore was imported before mindres: the GPU libraries can no longer be "
            f"loaded{speed}; import mindres first",
            file=sys.stderr,
        )
    else:
        sys.meta_path.insert(0, _BeforeMindSpore())


class _BeforeMindSpore(MetaPathFinder):
    """Prepares the GPU when MindSpore is about to be imported, and not for a process that never imports it."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "mindspore":
            return None
        if (_asked_for or requested_device()) in (None, "auto", "GPU"):
            gpu.prepare()
        if spec := PathFinder.find_spec(fullname, path, target):
            execute = spec.loader.exec_module

            def whole(module):
                try:
                    with interrupted_later():
                        execute(module)
                except KeyboardInterrupt:
                    # The import is undone, but MindSpore looks for itself when the process ends.
                    atexit.register(sys.modules.__setitem__, fullname, module)
                    raise

            spec.loader.exec_module = whole
        return spec


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


def set_device(target: str = "auto", device_id: int | None = None) -> str:
    """Run on `target`: CPU, GPU, Ascend, or auto for the first of Ascend, GPU and CPU that can be used.

    With "auto", `MINDRES_DEVICE_TARGET` decides where it is set, and one line on standard error says why a device that
    is here is passed over. `device_id` counts a machine's GPUs or Ascend processors from 0; None leaves it to
    MindSpore, which takes 0, or in a distributed job a worker's own.

    Returns the device chosen. Raises `UserError` that says what is missing for the one asked for.
    """
    global _asked_for
    if target == "auto":
        target = os.environ.get("MINDRES_DEVICE_TARGET") or target
    if target not in DEVICES:
        raise UserError(f"unknown device {target!r}: choose one of {', '.join(DEVICES)}")
    _asked_for = target
    if target in ("auto", "GPU"):
        gpu.prepare()
    if target == "auto":
        target = next((name for name in ("Ascend", "GPU") if _usable(name)), "CPU")
    elif lacks := missing(target):
        raise UserError(
            f"{target} was asked for, but {lacks}; --device_target CPU works on this machine"
        )
    count = device_count(target)
    if device_id is not None and not 0 <= device_id < count:
        raise UserError(
            f"there is no {target} {device_id} here: device_id counts from 0 to {count - 1}"
        )
    import mindspore

    try:
        mindspore.set_device(target, device_id)
    except (RuntimeError, ValueError) as error:
        # It also refuses to be told what it does already.
        if mindspore.get_context("device_target") != target or device_id not in (
            None,
            mindspore.get_context("device_id"),
        ):
            raise UserError(f"MindSpore cannot use {target}: {_reason(error, target)}") from None
    # MindSpore has put its own value in place of a variable that the user may have set.
    os.environ.update(gpu.environment)
    if target == "GPU":
        _tune_gpu()
    return target


def _usable(target: str) -> bool:
    lacks = missing(target)
    if lacks and lacks not in NOT_HERE:
        print(f"mindres: the {target} of this machine is not used: {lacks}", file=sys.stderr)
    return not lacks


def _reason(error: Exception, target: str) -> str:
    if target == "GPU" and not gpu.environment:
        return "mindspore was imported before a GPU was asked for; import mindres first, and call set_device then"
    lines = str(error).strip().splitlines() or ["it gives no reason"]
    return next((line for line in lines if f"libmindspore_{target.lower()}" in line), lines[0])


def _tune_gpu() -> None:
    """Let cuDNN try its algorithms, and tensor cores round matrix products as they already do convolutions (TF32)."""
    from mindspore.device_context.gpu import op_precision, op_tuning

    op_precision.matmul_allow_tf32(True)
    op_tuning.conv_fprop_algo("performance")
    op_tuning.conv_dgrad_algo("performance")
    op_tuning.conv_wgrad_algo("performance")


def device_count(target: str) -> int:
    """How many devices of a kind the machine has, whether or not MindSpore can use them."""
    if target == "GPU":
        return len(gpu.query()[0])
    return len(list(Path("/dev").glob("davinci[0-9]*"))) if target == "Ascend" else 1


def missing(target: str) -> str | None:
    """What keeps `target` from being used on this machine, in words; None where nothing does."""
    if target == "Ascend":
        if not device_count("Ascend"):
            return NO_ASCEND
        if not (os.environ.get("ASCEND_HOME_PATH") or Path("/usr/local/Ascend").exists()):
            return "CANN is not installed: install it and source its set_env.sh"
    if target == "GPU":
        return "; ".join(gpu.problems()) or None
    return None
