"""Trains a small network for one step, in a process of its own.

A driver may kill that process with a signal, which is then part of the report. MindSpore is loaded
only in that process.
"""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

from mindres.compat import mindspore as private
from mindres.devices import DEFAULTS
from mindres.devices.set_device import set_device
from mindres.errors import UserError

# On a GPU newer than the plug-in, the driver compiles all kernels in the first run.
PATIENCE_S = 900


def training(target: str, environment: dict) -> dict:
    """Train a small network for one step on `target` in a new process; returns how it went."""
    code = "import sys; from mindres.doctor import trial; trial.train_one_step(sys.argv[1])"
    package = str(Path(__file__).parents[2])
    path = os.pathsep.join([package, *filter(None, [environment.get("PYTHONPATH")])])
    failed = {"target": target, "device": None, "ok": False}
    try:
        done = subprocess.run(
            [sys.executable, "-c", code, target],
            check=False,
            timeout=PATIENCE_S,
            env={**environment, "PYTHONPATH": path},
            capture_output=True,
            text=True,
            errors="replace",
        )
    except subprocess.TimeoutExpired:
        return {**failed, "problem": f"it took more than {PATIENCE_S} s"}
    if done.returncode:
        return {**failed, "problem": cause(done.returncode, done.stderr)}
    found = json.loads(done.stdout.splitlines()[-1])
    return {"target": target, "ok": True, "problem": None, **found}


def cause(status: int, stderr: str) -> str:
    """The most informative line on the standard error of a failed process."""
    if status < 0:
        return f"the process was killed by {signal.Signals(-status).name}"
    lines = [line.strip() for line in stderr.splitlines() if line.strip().strip("-")]
    errors = [line for line in lines if re.match(r"mindres\.errors\.UserError|\w*Error: ?\S", line)]
    if errors:
        return errors[-1].partition(": ")[2] if errors[-1].startswith("mindres.") else errors[-1]
    return private.native_reason(lines) or (lines[-1] if lines else f"exit status {status}")


def train_one_step(target: str) -> None:
    """Train a small network for one step on `target`; prints device and losses as JSON."""
    device = set_device(target)
    from mindres.native import library

    losses = _two_losses(device)
    if not losses[1] < losses[0]:
        raise UserError(
            f"{device} does not learn: the loss of a small network went from {losses[0]:.3f} "
            f"to {losses[1]:.3f}"
        )
    convolution = library.why_not() or "used"
    print(json.dumps({"device": device, "losses": losses, "native_convolution": convolution}))


def _two_losses(device: str) -> list[float]:
    """The losses of the first two steps of a small network on the same images."""
    import mindspore
    import numpy as np
    from mindspore import nn
    from mindspore.amp import FixedLossScaleManager, build_train_network

    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    mindspore.set_seed(0)
    net = nn.SequentialCell(
        nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU(), nn.Flatten(), nn.Dense(8 * 8 * 8, 2)
    )
    step = build_train_network(
        net,
        nn.Momentum(net.trainable_params(), 0.001, 0.9),
        nn.CrossEntropyLoss(),
        level=DEFAULTS[device].amp_level,
        loss_scale_manager=FixedLossScaleManager(128.0, drop_overflow_update=False),
    )
    step.set_train()
    images = np.random.default_rng(0).standard_normal((4, 3, 8, 8)).astype(np.float32)
    labels = np.array([0, 1, 0, 1], np.int32)
    return [
        float(step(mindspore.Tensor(images), mindspore.Tensor(labels)).asnumpy()) for _ in range(2)
    ]
