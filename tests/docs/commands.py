"""Runs what the pages say to type: `make test-docs`. Every command, on small data and small networks.

A page marks what is not run, and why: see tests/pages.py.
"""

import contextlib
import os
import re
import runpy
import shlex
import shutil
import socket
import subprocess
import sys
import urllib.request
from pathlib import Path

import mindspore
import numpy as np
import pytest
import torch
import torch_reference
from conftest import ROOT, clean_environment
from pages import PAGES
from PIL import Image
from small_data import cifar10_batches, write_cifar10_python
from small_networks import shorten_resnets, zero_model

import mindres
from mindres.cli import COMMANDS, program
from mindres.data import ImageFolder
from mindres.export import proof
from mindres.training import plan

MSRUN = Path(sys.executable).with_name("msrun")
SIDE = ["--resize", "32"]
# What each word of a page stands for.
WORDS = {"PICTURE": "gradcam --ckpt ckpt/best.ckpt", "DATA": "photos"}
# What is put in place of a long training in Python.
SHORT = {
    "epochs=5": "epochs=1, max_steps=1",
    "pretrained=True": "pretrained='imagenet.ckpt'",
    "minutes=20": "minutes=3, pretrained='false', resize=32",
}


def lines_to_run():
    """The commands of all pages, without those that are marked and those that are mere names."""
    found = set()
    for page in PAGES.values():
        mentioned = [line for line in page.mentioned if len(line.split()) > 2]
        found |= {line for line in [*page.typed, *mentioned] if not page.why_not(line)}
    return sorted(found)


def write_images(folder, count=40):
    rng = np.random.default_rng(0)
    for name, shade in (("cat", 0), ("dog", 120)):
        (folder / name).mkdir(parents=True)
        for number in range(count):
            pixels = rng.integers(shade, shade + 130, (40, 40, 3), np.uint8)
            Image.fromarray(pixels).save(folder / name / f"{number}.png")


def write_mnist(folder, count=300):
    """Random digits in MNIST's published layout."""
    folder.mkdir(parents=True)
    rng = np.random.default_rng(0)
    for part in ("train", "t10k"):
        sizes = np.array([0x803, count, 28, 28], ">i4").tobytes()
        images = rng.integers(0, 256, (count, 28, 28), np.uint8).tobytes()
        (folder / f"{part}-images-idx3-ubyte").write_bytes(sizes + images)
        labels = (np.arange(count) % 10).astype(np.uint8).tobytes()
        head = np.array([0x801, count], ">i4").tobytes()
        (folder / f"{part}-labels-idx1-ubyte").write_bytes(head + labels)


@pytest.fixture(scope="module", autouse=True)
def small():
    """ResNets of a block a stage, exports that are measured for a moment, plans for two epochs."""
    with pytest.MonkeyPatch.context() as patch:
        shorten_resnets(patch)
        patch.setattr(proof, "SECONDS", 0.01)
        patch.setattr(plan, "MOST_EPOCHS", 2)
        patch.setattr(plan, "SHARE_OF_TEST", 0.02)
        yield


@pytest.fixture(scope="module")
def place(tmp_path_factory, small):
    """A folder with all that the commands name: images, data sets, weights, a run, an exported file."""
    place = tmp_path_factory.mktemp("typed")
    for name in ("photos", "my_photos"):
        write_images(place / name)
    shutil.copytree(place / "photos" / "cat", place / "folder")
    for name in ("photo.jpg", "a.jpg", "b.jpg"):
        Image.open(place / "photos" / "cat" / "0.png").save(place / name)
    rows = [f"photos/{c}/{n}.png,{c}" for c in ("cat", "dog") for n in range(40)]
    (place / "labels.csv").write_text("\n".join(["path,label", *rows]), encoding="utf-8")
    write_cifar10_python(place / "datasets" / "cifar-10-batches-py", cifar10_batches(300, 60))
    write_mnist(place / "datasets" / "MNIST" / "raw")
    (place / "DIR").symlink_to("datasets")
    (place / "examples").symlink_to(ROOT / "examples")
    mindres.set_device("CPU")
    mindspore.save_checkpoint(zero_model("resnet50"), str(place / "imagenet.ckpt"))
    torch.save(torch_reference.create("resnet20", "A").state_dict(), place / "resnet20.th")
    images = [
        ImageFolder(place / "photos", split, batch_size=4, resize=32, test_fraction=0.3)
        for split in ("train", "test")
    ]
    net = mindres.reset_head(mindres.resnet50(), 2)
    config = {"dataset": "folder", "dataset_path": str(place / "photos"), "test_fraction": 0.3}
    mindres.train(net, *images, epochs=1, batch_size=4, ckpt_dir=place / "ckpt", config=config)
    shutil.copytree(place / "ckpt", place / "other_run")
    (place / "mnist").mkdir()
    shutil.copy(place / "imagenet.ckpt", place / "mnist" / "best.ckpt")
    (place / "check").mkdir()
    (place / "check" / "check.csv").write_text("path,kind\ncat/0.png,dark\n", encoding="utf-8")
    net, metadata = mindres.load_model(place / "ckpt" / "best.ckpt")
    mindres.export_model(net, place / "pets.onnx", metadata=metadata, end_to_end=True)
    return place


@contextlib.contextmanager
def serving(place, line="mindres serve pets.onnx"):
    """The server that `line` starts, as its address."""
    command = [sys.executable, "-m", *shlex.split(line), "--port", "0"]
    server = subprocess.Popen(
        command, cwd=place, env=clean_environment(), stdout=subprocess.PIPE, text=True
    )
    address = re.search(r"http://[\w.:]+", server.stdout.readline())[0]
    urllib.request.urlopen(f"{address}/healthz", timeout=60).close()
    yield address
    server.terminate()
    assert server.wait(60) == 0


def run_here(words, place, folder, monkeypatch):
    """Run one of our programs in this process; its last words replace earlier ones."""
    script = words[0] == "python"
    words = shlex.split(" ".join(WORDS.get(word, shlex.quote(word)) for word in words))[script:]
    if words[:2] == ["mindres", "train"] and "--help-all" not in words:
        words += [*SIDE, "--pretrained", "false", "--time", "3m", "--ckpt_dir", str(folder)]
    elif words[:2] == ["mindres", "check"]:
        words += ["--arch", "none"]
    elif script and re.search("finetune|train_", words[0]):
        words += ["--max_steps", "2", "--ckpt_dir", str(folder)]
        words += SIDE if "mnist" not in words[0] else []
        if "finetune" in words[0] and "--pretrained" not in words:
            words += ["--pretrained", "imagenet.ckpt"]
    elif script:
        words += SIDE if "--resize" in words else ["--dataset_path", "photos"]
    monkeypatch.setattr(sys, "argv", words)
    try:
        if script:
            runpy.run_path(str(ROOT / words[0]), run_name="__main__")
        else:
            program.main()
    except SystemExit as end:
        assert end.code in (None, 0)
    if "--out" in words:
        assert (place / words[words.index("--out") + 1]).exists()


@pytest.mark.parametrize("line", lines_to_run())
def test_command(line, place, tmp_path, own_cache, monkeypatch):
    monkeypatch.chdir(place)
    words = shlex.split(line)
    if words[:2] == ["mindres", "serve"]:
        with serving(place, line) as address:
            assert address.startswith("http://127.0.0.1:")
    elif words[0] == "curl":
        with serving(place) as address:
            line = line.replace("http://127.0.0.1:8000", address)
            answer = subprocess.run(
                ["bash", "-c", line], capture_output=True, text=True, check=True
            )
        assert "probability" in answer.stdout
    elif words[0] == "msrun":
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = str(probe.getsockname()[1])
        flags = ["--master_port", port, "--log_dir", str(tmp_path), "--join", "True"]
        words = [str(MSRUN), *flags, *words[1:], *SIDE, "--pretrained", "false", "--max_steps", "2"]
        path = f"{MSRUN.parent}:{os.environ['PATH']}"
        subprocess.run(words, env=clean_environment(PATH=path), check=True, timeout=200)
    else:
        with open("photo.jpg", "rb") as photo:
            monkeypatch.setattr(sys, "stdin", type("Input", (), {"buffer": photo}))
            run_here(words, place, tmp_path / "run", monkeypatch)


@pytest.mark.parametrize("code", [code for page in PAGES.values() for code in page.python])
def test_python(code, place, tmp_path, monkeypatch):
    """A piece of Python; what trains for long is cut short."""
    monkeypatch.chdir(tmp_path)
    for name in ("datasets", "photos", "imagenet.ckpt"):
        Path(name).symlink_to(place / name)
    for long, short in SHORT.items():
        code = code.replace(long, short)
    exec(code, {"__name__": "typed"})


def test_commands_that_are_mentioned_are_there():
    mentioned = [line.split() for page in PAGES.values() for line in page.mentioned]
    names = {words[1] for words in mentioned if words[0] == "mindres"}
    assert names - {"--help", "--version"} <= set(COMMANDS)
