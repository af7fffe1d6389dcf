"""The devices that MindSpore runs on: CPU, GPU and Ascend.

A device is a row of `DEFAULTS` and a file of this folder with two functions that load no
MindSpore: `count()`, how many the machine has, and `missing()`, what keeps MindSpore from using
them. `set_device.py` chooses a device; `before_mindspore.py` prepares the process for it.
"""

from __future__ import annotations

from typing import NamedTuple


class Defaults(NamedTuple):
    """Training defaults of a device: graph or PyNative mode, data sinking, mixed precision."""

    mode: str
    dataset_sink_mode: bool
    amp_level: str


# With data sinking, the steps of an epoch run on the device without returning to Python; a CPU has
# no device to sink to. O2 trains in half precision with batch normalisation in single precision;
# on CPU it is bfloat16, which is not the default.
DEFAULTS = {
    "CPU": Defaults("graph", False, "O0"),
    "GPU": Defaults("graph", True, "O2"),
    "Ascend": Defaults("graph", True, "O2"),
}
# What `--amp_level` and `amp_level` accept; `native.precision` says what a level is.
AMP_LEVELS = ("auto", "O0", "O1", "O2", "O3")
# What `--device_target` and `set_device` accept.
DEVICES = ("auto", *DEFAULTS)
