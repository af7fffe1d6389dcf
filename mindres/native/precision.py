"""Mixed precision: what an `amp_level` stands for on the present device.

On CPU O2 is bfloat16: the native operators compute in it, and activations between them have it.
Weights, the optimizer's state, statistics, the loss, and every layer without a native operator stay
float32, so that losses need no scaling. O1 and O3 do not exist there. On GPU and Ascend the levels
are those of `mindspore.amp`, in float16.
"""

from __future__ import annotations

import copy

import mindspore

from mindres.devices import AMP_LEVELS, DEFAULTS, cpu
from mindres.errors import UserError, unknown
from mindres.native import library


def resolve_amp(level: str) -> str:
    """The level, "O0" to "O3", that `level` or "auto" is on the present device.

    Raises:
        UserError: there is no such level here.
    """
    if level not in AMP_LEVELS:
        raise unknown("amp_level", level, AMP_LEVELS)
    if level == "auto":
        return auto_level()[0]
    if not _on_cpu() or level == "O0":
        return level
    if level != "O2":
        raise UserError(
            f"`amp_level` {level} does not exist on CPU: choose O0 (float32), O2 (bfloat16) or auto"
        )
    if reason := library.why_not(mindspore.bfloat16):
        raise UserError(
            f"`amp_level` O2 is bfloat16 on CPU, for which native operators are needed, and these "
            f"cannot be used: {reason}; choose O0"
        )
    return level


def auto_level() -> tuple[str, str]:
    """The level that "auto" is on the present device, and why."""
    if not _on_cpu():
        device = mindspore.get_context("device_target")
        return DEFAULTS[device].amp_level, f"the default on {device}"
    if not cpu.has_amx():
        return "O0", "bfloat16 is slower on a processor without AMX"
    if reason := library.why_not(mindspore.bfloat16):
        return "O0", f"bfloat16 cannot be used: {reason}"
    return "O2", "the processor has AMX"


def level_in_words(level: str) -> str:
    """The element type and the level, which `resolve_amp` gave, such as "bfloat16 (O2)"."""
    if level == "O0":
        return "float32"
    return f"{'bfloat16' if _on_cpu() else 'float16'} ({level})"


def element_type(level: str) -> mindspore.Type:
    """The element type in which native operators compute at `level`, which `resolve_amp` gave."""
    return mindspore.bfloat16 if _on_cpu() and level == "O2" else mindspore.float32


def for_inference(net, level: str):
    """The network to call in place of `net` at `level`: a copy of other precision, or `net` itself.

    On CPU the native operators do what is to be done.
    """
    if _on_cpu() or level == "O0":
        return net
    return mindspore.amp.auto_mixed_precision(copy.deepcopy(net), level)


def _on_cpu() -> bool:
    return mindspore.get_context("device_target") == "CPU"
