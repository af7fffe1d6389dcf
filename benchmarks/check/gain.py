"""The accuracy that `mindres train --without check.csv` gains if a fifth of the labels is wrong."""

from __future__ import annotations

import csv
import json
import shutil
import statistics
import tempfile
from pathlib import Path

import numpy as np
from PIL import Image

from benchmarks.check.commands import command
from benchmarks.check.images import AS_TRAINED, flipped, mnist_images

SEEDS, WRONG = 3, 0.2
TEXT = """Training on images of which 20% have a wrong label, by `mindres train` with all of them, without those that
`mindres check` lists (`--without check.csv`), and with the right ones alone. Accuracy on other images, whose labels are
right: mean of three seeds, and their range.

| training | all images | without the findings | the right ones alone |
| --- | --- | --- | --- |
{rows}"""


def write_folder(folder: Path, images, labels, test, test_labels) -> list[Path]:
    """Write images into class folders; returns the training images' files."""
    files = []
    for split, some, of in (("train", images, labels), ("test", test, test_labels)):
        for i, (pixels, label) in enumerate(zip(some, of)):
            file = folder / split / str(label) / f"{i:05}.png"
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(file)
            files += [file] if split == "train" else []
    return files


def accuracies(images, labels, count: int, tested: int, seed: int, check, train) -> list[float]:
    """The accuracy on `tested` images after each of the three ways to train on `count` others."""
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(labels))
    own, other = order[:count], order[count : count + tested]
    given, wrong = flipped(labels[own], rng, WRONG)
    with tempfile.TemporaryDirectory() as place:
        root = Path(place)
        files = write_folder(root / "data", images[own], given, images[other], labels[other])
        command("check", root / "data", *check, "--out", root)
        with (root / "wrong.csv").open("w", newline="") as file:
            csv.writer(file).writerows([["path"], *([files[i]] for i in np.flatnonzero(wrong))])
        found = []
        for further in ([], ["--without", root / "check.csv"], ["--without", root / "wrong.csv"]):
            run = ["--ckpt_dir", root / "run", "--seed", seed]
            command("train", root / "data", *train, *run, *further)
            told = command("eval", "--ckpt", root / "run" / "best.ckpt", "--json")
            found.append(json.loads(told)["accuracy"])
            shutil.rmtree(root / "run")
    return found


def cifar10_images(folder: Path):
    """CIFAR-10's test images, which the network never saw, uint8 (N, 32, 32, 3), and their labels."""
    files = sorted((folder / "test").glob("*/*.jpg"))
    names = sorted({file.parent.name for file in files})
    images = np.stack([np.asarray(Image.open(file).convert("RGB")) for file in files])
    return images, np.array([names.index(file.parent.name) for file in files])


def section(args) -> str:
    """The table of the gains."""
    import mindres

    with tempfile.TemporaryDirectory() as place:
        network = Path(place) / "resnet56.ckpt"
        net, _ = mindres.load_model(args.weights, arch="resnet56")
        mindres.save_checkpoint(net, network, **AS_TRAINED)
        mnist, cifar10 = mnist_images(args.mnist, "train"), cifar10_images(args.cifar10)
        cases = {
            "LeNet-5 from random weights, 10 epochs, 4,000 images of MNIST; checked by thumbnails": (
                *mnist, 4000, 3000, ["--arch", "none"],
                ["--arch", "lenet5", "--pretrained", "false", "--recipe", "fast", "--lr", 0.02,
                 "--batch_size", 32, "--epochs", 10],
            ),
            "the classifier of the published ResNet-56, 3,000 images of CIFAR-10; checked by the network's features": (
                *cifar10, 3000, 3000, ["--ckpt", network],
                ["--arch", "resnet56", "--shortcut", "A", "--resize", 32, "--pretrained", network,
                 "--freeze", "backbone", "--epochs", 10],
            ),
        }  # fmt: skip
        rows = []
        for name, (images, labels, count, tested, check, train) in cases.items():
            of = [
                accuracies(images, labels, count, tested, seed, check, train)
                for seed in range(SEEDS)
            ]
            print(name, of, flush=True)
            cells = [
                f"{statistics.mean(each):.1%} ({min(each):.1%} to {max(each):.1%})"
                for each in zip(*of)
            ]
            rows.append(f"| {name} | {' | '.join(cells)} |")
    return TEXT.format(rows="\n".join(rows))
