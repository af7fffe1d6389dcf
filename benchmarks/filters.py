"""Accuracy with training images read and cut out in different ways.

    python -m benchmarks.filters --images DIR        into benchmarks/results/filters.md

DIR has CIFAR-10 as JPEG files, train/<class>/ and test/<class>/. ResNet-20 is trained at 32 pixels
on 5,000 images, as they are, and enlarged to photographs of 128 pixels that training has to make
smaller. It is tested on 4,000 images which nothing was chosen by, after its last epoch, for each
way and each of three seeds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[1]
SIDES = {"as they are": 32, "enlarged to 128 pixels": 128}
WAYS = {
    "bicubic": "MindSpore's bicubic RandomResizedCrop of the whole image, the default of 0.1.0",
    "scaled": "JPEG's own scales and a linear or averaging filter",
    "cache": "the same, from a copy at 1.15 times the training size",
}
IMAGES = {"train": 5000, "val": 100, "test": 4000}
EPOCHS = 4
SEEDS = 3


def lay_out(images: Path, folder: Path, side: int) -> None:
    """Write the splits of `IMAGES`: links, or JPEG files of `side` pixels."""
    for split, count in IMAGES.items():
        source = images / ("test" if split == "test" else "train")
        for kind in sorted(source.iterdir()):
            chosen = sorted(kind.glob("*.jpg"))[:: -1 if split == "val" else 1]
            target = folder / split / kind.name
            target.mkdir(parents=True)
            for path in chosen[: count // 10]:
                if side == 32:
                    os.symlink(path.resolve(), target / path.name)
                    continue
                enlarged = Image.open(path).resize((side, side), Image.Resampling.BICUBIC)
                enlarged.save(target / path.name, quality=90)


def accuracy(folder: Path, way: str, seed: int) -> float:
    """The accuracy on the test images of a network that was trained in this way."""
    import mindres
    from mindres.data import ImageFolder

    class Bicubic(ImageFolder):
        def augmented_source(self, sampler):
            return None

    mindres.set_seed(seed)
    kind = Bicubic if way == "bicubic" else ImageFolder
    options = {"cache": "ram"} if way == "cache" else {}
    train, val, test = (
        kind(folder, split, batch_size=128, **(options if split == "train" else {}))
        for split in IMAGES
    )
    net = mindres.resnet20(10)
    mindres.train(net, train, val, recipe="fast", epochs=EPOCHS, tta=False, ckpt_dir=None)
    return mindres.evaluate(net, test).accuracy


def measure(folder: Path, way: str, seed: int) -> str:
    """`accuracy` in a process of its own: "accuracy, processor seconds"."""
    command = [sys.executable, "-m", "benchmarks.filters", "--folder", str(folder)]
    command += ["--way", way, "--seed", str(seed)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    return next(line for line in done.stdout.splitlines() if line.startswith("BENCH")).split()[1]


def row(name: str, way: str, folder: Path) -> str:
    found = [float(measure(folder, way, seed)) for seed in range(SEEDS)]
    each = ", ".join(f"{value:.1%}" for value in found)
    mean, spread = statistics.mean(found), statistics.stdev(found)
    return f"| {name} | {WAYS[way]} | {mean:.1%} | {100 * spread:.1f} | {each} |"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=Path, help="CIFAR-10 as JPEG files")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--out", type=Path, default=ROOT / "benchmarks/results/filters.md")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    parser.add_argument("--way", choices=WAYS, help=argparse.SUPPRESS)
    parser.add_argument("--seed", type=int, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.way:
        print("BENCH", accuracy(args.folder, args.way, args.seed), time.process_time(), flush=True)
        return
    lines = [
        "| images | how they are read | accuracy, mean | standard deviation, points | seeds |",
        "| --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for name, side in SIDES.items():
            place = Path(folder) / str(side)
            lay_out(args.images, place, side)
            lines += [row(name, way, place) for way in args.ways]
    table = "\n".join(lines)
    print(table)
    args.out.write_text(f"{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
