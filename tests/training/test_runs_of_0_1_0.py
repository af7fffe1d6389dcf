"""Runs that version 0.1.0 began: they go on to the losses to which version 0.1.0 brought them."""

import csv
import shutil
from pathlib import Path

import pytest

import mindres
from mindres.weights.formats import read_checkpoint

RUNS = Path(__file__).with_name("runs_of_0_1_0")
FLAGS = ["--device_target", "CPU", "--dataset", "digits", "--arch", "convnet", "--resize", "28"]
FLAGS += ["--pretrained", "false", "--epochs", "3", "--batch_size", "64"]
RECIPES = {
    "momentum": ["--recipe", "tutorial", "--lr", "0.05"],
    "adam": ["--recipe", "adam_early_stop", "--ema", "0.9", "--accumulate", "2"],
}


def rows(path):
    with open(path, newline="") as file:
        return list(csv.DictReader(file))


@pytest.mark.parametrize("name", RECIPES)
def test_a_run_of_0_1_0_goes_on(tmp_path, run_example, name):
    shutil.copytree(RUNS / name, tmp_path / name)
    done = run_example(
        "finetune_resnet50.py", *FLAGS, *RECIPES[name], "--ckpt_dir", name, "--resume"
    )
    assert done.returncode == 0, done.stderr
    assert "resuming from" in done.stdout
    ours = rows(tmp_path / name / "history.csv")
    theirs = rows(RUNS / name / "history-resumed.csv")
    assert len(ours) == len(theirs) == 3
    for mine, wanted in zip(ours, theirs):
        for column in ("epoch", "loss", "accuracy", "lr"):
            assert float(mine[column]) == pytest.approx(float(wanted[column]), rel=1e-6), column
    arrays, _ = read_checkpoint(tmp_path / name / "last.ckpt")
    assert any(each.startswith("optimizer.") for each in arrays)
    net, metadata = mindres.load_model(tmp_path / name / "last.ckpt")
    assert metadata.epoch == 3 and net.architecture["arch"] == "convnet"


@pytest.mark.parametrize("name", RECIPES)
def test_checkpoints_of_0_1_0_load(name):
    """`best.ckpt`, and `last.ckpt` with the optimizer's state beside the weights."""
    for file in ("best.ckpt", "last.ckpt"):
        net, metadata = mindres.load_model(RUNS / name / file)
        assert net.architecture["arch"] == "convnet" and len(metadata.classes) == 10
