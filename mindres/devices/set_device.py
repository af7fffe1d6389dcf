"""Chooses the device that MindSpore runs on."""

from __future__ import annotations

import os
import sys

from mindres import settings
from mindres.compat import mindspore as private
from mindres.devices import DEVICES, ascend, before_mindspore, cpu, gpu, nvidia_driver
from mindres.errors import UserError

KINDS = {"CPU": cpu, "GPU": gpu, "Ascend": ascend}
# No fault of a machine that was never meant to have the device.
NOT_HERE = (
    ascend.NO_ASCEND,
    nvidia_driver.NO_DRIVER,
    nvidia_driver.NO_GPU,
    nvidia_driver.LINUX_ONLY,
)


def set_device(target: str = "auto", device_id: int | None = None) -> str:
    """Run on `target`: CPU, GPU, Ascend, or auto for the first of Ascend, GPU and CPU that works.

    With "auto", `MINDRES_DEVICE_TARGET` decides where it is set, and one line on standard error
    says why a device that is here is passed over.

    Args:
        target: "CPU", "GPU", "Ascend" or "auto".
        device_id: counts a machine's GPUs or Ascend processors from 0. None leaves it to MindSpore,
            which takes 0, or in a distributed job a worker's own.

    Returns:
        The device chosen.

    Raises:
        UserError: what is missing for the device asked for.
    """
    if target == "auto":
        target = settings.get("MINDRES_DEVICE_TARGET") or target
    if target not in DEVICES:
        raise UserError(f"unknown device {target!r}: choose one of {', '.join(DEVICES)}")
    before_mindspore.asked_for = target
    if target in ("auto", "GPU"):
        gpu.prepare()
    if target == "auto":
        target = next((name for name in ("Ascend", "GPU") if _usable(name)), "CPU")
    elif lacks := KINDS[target].missing():
        raise UserError(f"{target} was asked for, but {lacks}; `target=CPU` works on this machine")
    count = KINDS[target].count()
    if device_id is not None and not 0 <= device_id < count:
        raise UserError(
            f"there is no {target} {device_id} here: device_id counts from 0 to {count - 1}"
        )
    if target == "CPU":
        cpu.limit_onednn()
    else:
        cpu.lift_limit()
    _tell_mindspore(target, device_id)
    # MindSpore has put its own value in place of a variable that the user may have set.
    os.environ.update(gpu.environment)
    if target == "GPU":
        _tune_gpu()
    return target


def _usable(target: str) -> bool:
    lacks = KINDS[target].missing()
    if lacks and lacks not in NOT_HERE:
        print(f"mindres: the {target} of this machine is not used: {lacks}", file=sys.stderr)
    return not lacks


def _tell_mindspore(target: str, device_id: int | None) -> None:
    import mindspore

    try:
        mindspore.set_device(target, device_id)
    except (RuntimeError, ValueError) as error:
        # MindSpore also refuses to be told what it does already.
        same_target = mindspore.get_context("device_target") == target
        same_id = device_id in (None, mindspore.get_context("device_id"))
        if not (same_target and same_id):
            raise UserError(f"MindSpore cannot use {target}: {_reason(error, target)}") from None


def _reason(error: Exception, target: str) -> str:
    if target == "GPU" and not gpu.environment:
        return (
            "mindspore was imported before a GPU was asked for; import mindres first, and call "
            "set_device then"
        )
    return private.plugin_error(error, target)


def _tune_gpu() -> None:
    """Let cuDNN try its algorithms, and let matrix products round as convolutions do (TF32)."""
    from mindspore.device_context.gpu import op_precision, op_tuning

    op_precision.matmul_allow_tf32(True)
    op_tuning.conv_fprop_algo("performance")
    op_tuning.conv_dgrad_algo("performance")
    op_tuning.conv_wgrad_algo("performance")
