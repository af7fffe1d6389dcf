"""What only a GPU can show; `make test-gpu` runs it.

`MINDRES_TEST_DEVICE=CPU python -m pytest tests_gpu` rehearses it, comparing the CPU with itself; with
`MINDRES_TEST_STEPS` in place of the 300 steps of training.
"""

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).resolve().parents[1]
DEVICE = os.environ.get("MINDRES_TEST_DEVICE", "GPU")
STEPS_IN_EPOCH = 45  # of 1,437 digits, 32 at a time
STEPS = int(os.environ.get("MINDRES_TEST_STEPS", "300"))


def run(*arguments):
    path = os.pathsep.join([str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])])
    done = subprocess.run(
        [sys.executable, *map(str, arguments)],
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr[-3000:]
    return done


@pytest.mark.parametrize("arch", ["resnet20", "resnet50"])
def test_ten_steps_lose_what_they_lose_on_cpu(tmp_path, arch):
    losses = {}
    for device in ("CPU", DEVICE):
        done = run(
            ROOT / "tests_gpu" / "ten_steps.py",
            "--device_target",
            device,
            "--arch",
            arch,
            "--weights",
            tmp_path / "start.ckpt",
        )
        losses[device] = json.loads(done.stdout.splitlines()[-1])
    assert len(losses["CPU"]) == 10 and losses["CPU"][-1] < losses["CPU"][0]
    np.testing.assert_allclose(losses[DEVICE], losses["CPU"], rtol=1e-2)


@pytest.mark.parametrize("arch, lr", [("resnet20", 0.1), ("resnet50", 0.003)])
def test_a_few_hundred_steps_teach_it_the_digits(tmp_path, arch, lr):
    done = run(
        ROOT / "examples" / "finetune_resnet50.py",
        "--device_target",
        DEVICE,
        "--dataset",
        "digits",
        "--arch",
        arch,
        "--pretrained",
        "false",
        "--epochs",
        max(1, STEPS // STEPS_IN_EPOCH),
        "--max_steps",
        STEPS,
        "--lr",
        lr,
        "--ckpt_dir",
        tmp_path,
    )
    assert f"{arch} on digits, {DEVICE}" in done.stdout
    assert "ERROR" not in done.stderr
    with open(tmp_path / "history.csv", newline="") as file:
        epochs = list(csv.DictReader(file))
    assert float(epochs[-1]["loss"]) < float(epochs[0]["loss"])
    assert max(float(epoch["accuracy"]) for epoch in epochs) > 0.8
