"""Chooses the device that MindSpore runs on."""

from __future__ import annotations

import os
import sys

from mindres import settings
from mindres.compat import mindspore as private
from mindres.devices import DEVICES, ascend, before_mindspore, cpu, gpu, nvidia_driver
from mindres.errors import UserError

KINDS = {"CPU": cpu, "GPU": gpu, "Ascend": ascend}
# Messages of machines without the device, for which nothing needs to be mended.
NOT_HERE = (
    ascend.NO_ASCEND,
    nvidia_driver.NO_DRIVER,
    nvidia_driver.NO_GPU,
    nvidia_driver.LINUX_ONLY,
)


def set_device(target: str = "auto", device_id: int | None = None) -> str:
    """Set the device that MindSpore runs on.

    Args:
        target: "CPU", "GPU", "Ascend", or "auto" for `MINDRES_DEVICE_TARGET`, and without that for
            the first of Ascend, GPU and CPU that works. A line on standard error then says why a
            device of this machine is not used.
        device_id: number of the GPU or Ascend processor, from 0. None leaves it to MindSpore, which
            uses 0, or each worker's own in a distributed job.

    Returns:
        The device: "CPU", "GPU" or "Ascend".

    Raises:
        UserError: the device cannot be used; the message says what is missing.
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
            f"there is no {target} {device_id} here: `device_id` counts from 0 to {count - 1}"
        )
    if target == "CPU":
        cpu.limit_onednn()
    else:
        cpu.lift_limit()
    _tell_mindspore(target, device_id)
    # MindSpore has overwritten a variable that the user may have set.
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
        # MindSpore also refuses a call that would change nothing.
        same_target = mindspore.get_context("device_target") == target
        same_id = device_id in (None, mindspore.get_context("device_id"))
        if not (same_target and same_id):
            raise UserError(f"MindSpore cannot use {target}: {_reason(error, target)}") from None


def _reason(error: Exception, target: str) -> str:
    if target == "GPU" and not gpu.environment:
        return (
            "mindspore was imported before the GPU was chosen: import mindres first, and then call "
            "set_device"
        )
    return private.plugin_error(error, target)


def _tune_gpu() -> None:
    """Let cuDNN choose algorithms by trial, and allow TF32 in matrix products, too."""
    from mindspore.device_context.gpu import op_precision, op_tuning

    op_precision.matmul_allow_tf32(True)
    op_tuning.conv_fprop_algo("performance")
    op_tuning.conv_dgrad_algo("performance")
    op_tuning.conv_wgrad_algo("performance")
