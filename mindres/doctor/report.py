"""The report of `mindres doctor` as a dict for JSON."""

from __future__ import annotations

import os

from mindres.devices import gpu
from mindres.doctor import machine, nvidia, trial


def report(target: str = "auto") -> dict:
    """Everything that matters to training on the device `target`.

    `training` has `ok`: whether a small network could be trained for one step on that device.
    """
    # The trial prepares its own process, as a training script does.
    untouched = dict(os.environ)
    gpu.prepare()
    return {
        "versions": machine.versions(),
        "processor": machine.processor(),
        "gpu": nvidia.nvidia(),
        "ascend": machine.ascend_processors(),
        "settings": machine.settings_present(),
        "caches": machine.caches(),
        "workers": machine.workers(),
        "training": trial.training(target, untouched),
    }
