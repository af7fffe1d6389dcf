"""The two programs of the tutorial, started as a user starts them, and every mistake in one line."""

import os
import re

import mindspore
import numpy as np
import pytest
from conftest import ROOT, cifar10_batches, packed, write_cifar10_binary, write_cifar10_python
from PIL import Image
from small_networks import shorten_resnets

import mindres
from mindres.devices import gpu
from mindres.weights.formats import read_checkpoint

SCRIPTS = sorted(path.name for path in (ROOT / "examples").glob("*.py"))


SHORTENED = """
import runpy, mindres, pytest, small_networks
small_networks.shorten_resnets(pytest.MonkeyPatch())
runpy.run_path({path!r}, run_name="__main__")
"""


def test_fine_tune_then_look(run_python, run_example, tmp_path, monkeypatch):
    # In a process of its own, with nothing but the defaults: this is what `make demo` runs, where
    # ResNet-50 has more blocks.
    shorten_resnets(monkeypatch)
    script = SHORTENED.format(path=str(ROOT / "examples" / "finetune_resnet50.py"))
    (tmp_path / "script.py").write_text(script)
    flags = ["--device_target", "CPU", "--pretrained", "false", "--max_steps", 2]
    path = f"{ROOT}{os.pathsep}{ROOT / 'tests'}"
    done = run_python(tmp_path / "script.py", *flags, PYTHONPATH=path)
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[-2000:]
    assert re.search(
        r"^resnet50 on digits, CPU in .+: 40 epochs in batches of 32, tutorial recipe$",
        done.stdout,
        re.M,
    )
    assert re.search(
        r"^Epoch: \[ 1 / 40\], Train Loss: \[\d+\.\d{4}\], Accuracy: 0\.\d{4}, "
        r"Val Loss: \[\d+\.\d{4}\], lr: 1\.00e-03, "
        r"[\d,]+ images/s, [\d:]+ left$",
        done.stdout,
        re.M,
    )
    arrays, recorded = read_checkpoint(tmp_path / "ckpt" / "best.ckpt")
    assert (
        recorded["classes"] == list("0123456789")
        and recorded["dataset"] == "digits"
        and len(arrays) == 87
    )

    done = run_example(
        "visualize_predictions.py",
        "--ckpt",
        "ckpt/best.ckpt",
        "--out",
        "out/predictions.png",
        "--device_target",
        "CPU",
    )
    assert done.returncode == 0, done.stderr
    right = int(
        re.search(r"24 predictions, (\d+) of them right: out/predictions\.png", done.stdout)[1]
    )
    picture = np.asarray(Image.open(tmp_path / "out" / "predictions.png").convert("RGB")).astype(
        int
    )
    assert picture.shape[0] > 600 and picture.shape[1] > 600
    red, green, blue = np.moveaxis(picture, 2, 0)
    assert ((blue > 200) & (red < 60) & (green < 60)).any() == (right > 0), (
        "titles of right ones are blue"
    )
    assert ((red > 200) & (blue < 60) & (green < 60)).any() == (right < 24), (
        "titles of wrong ones are red"
    )


@pytest.mark.parametrize("script", SCRIPTS)
def test_help_has_an_example_that_can_be_typed(run_example, script):
    done = run_example(script, "--help")
    assert (done.returncode, done.stderr) == (0, "")
    assert re.search(rf"^ +python (examples/)?{script} \S", done.stdout, re.M)
    assert len((ROOT / "examples" / script).read_text().splitlines()) <= 60


@pytest.fixture(scope="module")
def resnet18_checkpoint(tmp_path_factory):
    path = tmp_path_factory.mktemp("resnet18") / "resnet18.ckpt"
    mindspore.save_checkpoint(mindres.resnet18(10), str(path))
    return path


def prepare(tmp_path, checkpoint):
    """What the mistakes below are made with."""
    (tmp_path / "file").write_text("a file")
    (tmp_path / "empty").mkdir()
    batches = cifar10_batches(train=20, test=10)
    whole = write_cifar10_python(tmp_path / "whole" / "cifar-10-batches-py", batches)
    content = packed(whole)
    for name, archive in (("truncated", content[: len(content) // 2]), ("wrong", content)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "cifar-10-python.tar.gz").write_bytes(archive)
    binary = write_cifar10_binary(tmp_path / "short" / "cifar-10-batches-bin", batches)
    (binary / "data_batch_2.bin").write_bytes(b"\0" * 100)
    (
        write_cifar10_binary(tmp_path / "lacking" / "cifar-10-batches-bin", batches)
        / "data_batch_2.bin"
    ).unlink()
    weights = checkpoint.read_bytes()
    (tmp_path / "truncated.ckpt").write_bytes(weights[: len(weights) // 2])
    (tmp_path / "empty.ckpt").write_bytes(b"")
    (tmp_path / "text.ckpt").write_text("<html>Not found</html>")
    (tmp_path / "resnet18.ckpt").symlink_to(checkpoint)


# What is typed after finetune_resnet50.py, and words that must be in the one line it answers with.
TRAIN = {
    "unknown device": ("--device_target TPU", ["--device_target", "TPU", "GPU"]),
    "unknown dataset": ("--dataset cifar11", ["--dataset", "cifar11", "cifar10"]),
    "unknown network": ("--arch resnet51", ["resnet51", "resnet50"]),
    "unknown flag": ("--epoch 5", ["--epoch"]),
    "unknown recipe": ("--recipe fastest", ["--recipe", "fastest"]),
    "unknown stage": ("--freeze layer9 --arch resnet18", ["layer9", "layer4"]),
    "dataset missing": (
        "--dataset cifar10 --dataset_path none",
        ["none", "--dataset_path", "--download"],
    ),
    "dataset a file": ("--dataset cifar10 --dataset_path file", ["file"]),
    "dataset empty": (
        "--dataset cifar10 --dataset_path empty",
        ["empty", "cifar-10-batches-bin", "--download"],
    ),
    "archive truncated": (
        "--dataset cifar10 --dataset_path truncated",
        ["cifar-10-python.tar.gz", "damaged", "MD5"],
    ),
    "archive wrong": (
        "--dataset cifar10 --dataset_path wrong",
        ["cifar-10-python.tar.gz", "damaged", "MD5"],
    ),
    "file truncated": ("--dataset cifar10 --dataset_path short", ["data_batch_2.bin", "truncated"]),
    "file missing": ("--dataset cifar10 --dataset_path lacking", ["data_batch_2.bin"]),
    "weights missing": ("--arch resnet18 --pretrained none.ckpt", ["none.ckpt"]),
    "weights a folder": ("--arch resnet18 --pretrained empty", ["empty"]),
    "weights truncated": (
        "--arch resnet18 --pretrained truncated.ckpt",
        ["truncated.ckpt", "damaged"],
    ),
    "weights empty": ("--arch resnet18 --pretrained empty.ckpt", ["empty.ckpt"]),
    "weights no checkpoint": ("--arch resnet18 --pretrained text.ckpt", ["text.ckpt"]),
    "weights of another network": (
        "--arch resnet34 --pretrained resnet18.ckpt",
        ["resnet18.ckpt", "resnet34"],
    ),
    "epochs 0": ("--epochs 0", ["epochs", "at least 1"]),
    "epochs -1": ("--epochs -1", ["epochs"]),
    "epochs no number": ("--epochs many", ["--epochs", "many"]),
    "epochs a fraction": ("--epochs 1.5", ["--epochs", "1.5"]),
    "batch_size 0": ("--batch_size 0", ["batch_size", "at least 1"]),
    "batch_size -8": ("--batch_size -8", ["batch_size"]),
    "batch_size too large": (
        "--arch resnet18 --pretrained false --batch_size 2000",
        ["batch_size", "1437"],
    ),
    "lr 0": ("--lr 0", ["lr"]),
    "lr below min_lr": ("--lr 0.001 --min_lr 0.01", ["min_lr"]),
    "lr no number": ("--lr nan", ["lr"]),
    "max_steps 0": ("--max_steps 0", ["--max_steps"]),
    "resize 0": ("--resize 0", ["--resize"]),
    "ckpt_dir a file": (
        "--arch resnet18 --pretrained false --ckpt_dir file",
        ["file", "cannot write"],
    ),
    "ckpt_dir below a file": (
        "--arch resnet18 --pretrained false --ckpt_dir file/ckpt",
        ["file/ckpt", "cannot write"],
    ),
    "ckpt_dir unwritable": (
        "--arch resnet18 --pretrained false --ckpt_dir /proc/ckpt",
        ["/proc/ckpt", "cannot write"],
    ),
}
LOOK = {
    "no checkpoint named": ("", ["--ckpt"]),
    "checkpoint missing": ("--ckpt none.ckpt", ["none.ckpt"]),
    "checkpoint truncated": ("--ckpt truncated.ckpt", ["truncated.ckpt", "damaged"]),
    "no checkpoint": ("--ckpt text.ckpt", ["text.ckpt"]),
    "out of an unknown kind": ("--ckpt resnet18.ckpt --out picture.xyz", ["picture.xyz"]),
    "no images": ("--ckpt resnet18.ckpt --images empty", ["empty", "no images"]),
    "count 0": ("--ckpt resnet18.ckpt --count 0", ["--count"]),
}


def files_in(folder):
    return {
        str(path.relative_to(folder)): path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize(
    ("script", "mistake"),
    [
        *(("finetune_resnet50.py", mistake) for mistake in TRAIN),
        *(("visualize_predictions.py", m) for m in LOOK),
    ],
)
def test_a_mistake_is_answered_in_one_line(
    run_example, tmp_path, resnet18_checkpoint, script, mistake
):
    prepare(tmp_path, resnet18_checkpoint)
    before = files_in(tmp_path)
    arguments, words = (TRAIN if script.startswith("finetune") else LOOK)[mistake]
    # Should a mistake pass unnoticed, the test shall not wait for forty epochs.
    done = run_example(
        script,
        *([] if script.startswith("visualize") else ["--max_steps", "1"]),
        *arguments.split(),
    )
    assert done.returncode == 2
    [line] = done.stderr.splitlines()
    assert line.startswith("mindres: error: ") and len(line) < 500
    for word in words:
        assert word in line, line
    assert files_in(tmp_path) == before, "nothing is half written"


@pytest.mark.skipif(gpu.missing() is None, reason="this machine has a GPU")
@pytest.mark.parametrize("script", ["finetune_resnet50.py", "visualize_predictions.py"])
def test_a_gpu_that_is_not_there(run_python, tmp_path, script):
    arguments = ["--ckpt", "none.ckpt"] if script.startswith("visualize") else []
    done = run_python(ROOT / "examples" / script, "--device_target", "GPU", *arguments)
    assert done.returncode == 2 and done.stdout == ""
    [line] = done.stderr.splitlines()
    assert (
        line.startswith("mindres: error: GPU was asked for, but ") and "--device_target CPU" in line
    )
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "arguments",
    ["--epochs 0", "--dataset cifar10 --dataset_path none"],
)
def test_a_process_of_its_own_says_no_more(run_python, tmp_path, arguments):
    done = run_python(
        ROOT / "examples" / "finetune_resnet50.py", "--device_target", "CPU", *arguments.split()
    )
    assert done.returncode == 2 and done.stdout == ""
    [line] = done.stderr.splitlines()
    assert line.startswith("mindres: error: ")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.realdata
def test_real_images(run_example, realdata):
    done = run_example(
        "finetune_resnet50.py",
        "--dataset",
        "cifar10",
        "--dataset_path",
        realdata,
        "--arch",
        "lenet5",
        "--pretrained",
        "false",
        "--epochs",
        1,
        "--batch_size",
        50,
        "--device_target",
        "CPU",
    )
    assert done.returncode == 0, done.stderr
    assert "Epoch: [1 / 1], Train Loss: [" in done.stdout
