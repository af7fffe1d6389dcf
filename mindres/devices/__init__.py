"""The devices that MindSpore runs on: CPU, GPU and Ascend.

A device is a row of `DEFAULTS` and a file of this folder with two functions, which load no
MindSpore: `count()`, how many of it the machine has, and `missing()`, what keeps MindSpore from
using it.
`set_device.py` chooses among them; `before_mindspore.py` prepares the process for the choice.
"""

from __future__ import annotations

from typing import NamedTuple


class Defaults(NamedTuple):
    """How a device is best trained on: graph or PyNative mode, data sinking, mixed precision."""

    mode: str
    dataset_sink_mode: bool
    amp_level: str


# With data sinking the steps of an epoch stay on the device, without a return to Python; a CPU has
# no device to sink to. O2 trains in half precision and keeps batch normalisation in single. On CPU
# that is bfloat16, which has to be asked for.
DEFAULTS = {
    "CPU": Defaults("graph", False, "O0"),
    "GPU": Defaults("graph", True, "O2"),
    "Ascend": Defaults("graph", True, "O2"),
}
# What `--amp_level` and `amp_level` accept; `native.precision` says what a level is.
AMP_LEVELS = ("auto", "O0", "O1", "O2", "O3")
# What `--device_target` and `set_device` accept.
DEVICES = ("auto", *DEFAULTS)
