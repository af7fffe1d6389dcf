"""Reading images: mindres against PyTorch's `DataLoader` with Pillow, by turns.

    python -m benchmarks.data                   both sides of every case, in some four minutes
    python -m benchmarks.data --rounds 5 --out benchmarks/results/data.md

Each side reads JPEG files, crops a random part, resizes it to 224 x 224, mirrors half of the images,
normalises them, and makes batches of 32, with two workers. PyTorch's side does the same as
torchvision's `RandomResizedCrop` (bilinear), `RandomHorizontalFlip`, `ToTensor` and `Normalize`.
"From the cache" is mindres with `cache="ram"` after its first epoch. For CIFAR-10, in batches of
128, PyTorch's images are tensors in memory.

Speed is by wall-clock time. On a machine that does other work, the processor time of all processes
of a side says more.
"""

from __future__ import annotations

import argparse
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from benchmarks import pipelines

ROOT = Path(__file__).resolve().parents[1]
SIDES = ("mindres", "PyTorch")
PHOTOGRAPHS = {  # height, width, files, how many images an epoch reads, and mindres's cache
    "500 x 375 JPEG": (375, 500, 100, 1024, "none"),
    "4000 x 3000 JPEG": (3000, 4000, 4, 64, "none"),
    "500 x 375 JPEG, from the cache": (375, 500, 100, 1024, "ram"),
}
CIFAR10 = "CIFAR-10"
CASES = (*PHOTOGRAPHS, CIFAR10)
HEADING = """# Reading images

`python -m benchmarks.data`: medians of turns with two workers. Processor milliseconds are those of
all processes of a side.
"""
SIZE = 224
BATCH = 32
WORKERS = 2
CLASSES = ("a", "b")


def write_photographs(folder: Path, height: int, width: int, files: int, images: int) -> None:
    """Write class folders of `images` images: links to `files` random images of soft colours."""
    rng = np.random.default_rng(0)
    folder.mkdir(parents=True)
    for number in range(files):
        coarse = Image.fromarray(rng.integers(0, 256, (height // 12, width // 12, 3), np.uint8))
        pixels = np.asarray(coarse.resize((width, height), Image.Resampling.BICUBIC))
        noise = rng.integers(-12, 13, pixels.shape, np.int16)
        noisy = (pixels + noise).clip(0, 255).astype(np.uint8)
        Image.fromarray(noisy).save(folder / f"{number}.jpg", quality=90)
    for split, count in (("train", images), ("val", len(CLASSES))):
        for number in range(count):
            target = folder / split / CLASSES[number % 2] / f"{number}.jpg"
            target.parent.mkdir(parents=True, exist_ok=True)
            os.link(folder / f"{number % files}.jpg", target)


def mindres_epoch(folder: Path, cache: str):
    """A function that reads an epoch with mindres and returns the number of images."""
    from mindres.data import ImageFolder

    options = {"resize": SIZE, "batch_size": BATCH, "num_parallel_workers": WORKERS}
    data = ImageFolder(folder, "train", cache=cache, **options).run()
    batches = data.create_tuple_iterator(num_epochs=-1, output_numpy=True)
    return lambda: sum(len(labels) for _, labels in batches)


def torch_epoch(folder: Path):
    """A function that reads an epoch with PyTorch and Pillow and returns the number of images."""
    import torch

    mean, std = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    mean, std = (torch.tensor(values)[:, None, None] for values in (mean, std))

    class Photographs(torch.utils.data.Dataset):
        def __init__(self):
            self.paths = sorted(folder.glob("train/*/*.jpg"))

        def __len__(self):
            return len(self.paths)

        def __getitem__(self, i):
            from mindres.data.random_crop import NUMBERS, SCALE, random_box

            with Image.open(self.paths[i]) as image:
                image = image.convert("RGB")
            drawn = [random.random() for _ in range(NUMBERS)]
            top, left, height, width = random_box(image.height, image.width, drawn, SCALE)
            image = image.crop((left, top, left + width, top + height))
            image = image.resize((SIZE, SIZE), Image.Resampling.BILINEAR)
            if random.random() < 0.5:
                image = image.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
            pixels = torch.from_numpy(np.array(image)).permute(2, 0, 1).contiguous()
            label = CLASSES.index(self.paths[i].parent.name)
            return pixels.to(torch.float32).div(255).sub_(mean).div_(std), label

    options = {"num_workers": WORKERS, "persistent_workers": True, "drop_last": True}
    loader = torch.utils.data.DataLoader(Photographs(), BATCH, shuffle=True, **options)
    return lambda: sum(len(labels) for _, labels in loader)


def measure(side: str, case: str, folder: Path, seconds: float) -> None:
    """Print a BENCH line: images/s, and milliseconds of processor time per image."""
    if case == CIFAR10:
        epoch = pipelines.pipeline(side, 32, 128, str(folder))
    elif side == "mindres":
        epoch = mindres_epoch(folder, PHOTOGRAPHS[case][-1])
    else:
        epoch = torch_epoch(folder)
    epoch()
    before, started = _processor_seconds(), time.perf_counter()
    count = 0
    while time.perf_counter() - started < seconds:
        count += epoch()
    duration = time.perf_counter() - started
    print("BENCH", count / duration, (_processor_seconds() - before) / count * 1000, flush=True)
    os._exit(0)  # MindSpore waits for its threads


def _processor_seconds() -> float:
    """The processor time of this process and its workers."""
    this = psutil.Process()
    return sum(sum(each.cpu_times()[:2]) for each in (this, *this.children(recursive=True)))


def turns(case: str, rounds: int, seconds: float, folder: Path) -> str:
    """A row of the table: medians over the rounds of both sides, and their ratios."""
    if case == CIFAR10:
        pipelines.write_cifar10(folder / "bytes" / "cifar-10-batches-py", str.encode)
    else:
        write_photographs(folder, *PHOTOGRAPHS[case][:-1])
    found: dict[str, list[tuple[float, float]]] = {side: [] for side in SIDES}
    for _ in range(rounds):
        for side in SIDES:
            command = [sys.executable, "-m", "benchmarks.data", "--side", side, "--case", case]
            command += ["--folder", str(folder), "--seconds", str(seconds)]
            environment = {**os.environ, "MINDRES_CACHE": str(folder / "cache")}
            done = subprocess.run(
                command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
            )
            line = next(line for line in done.stdout.splitlines() if line.startswith("BENCH"))
            speed, cost = map(float, line.split()[1:])
            found[side].append((speed, cost))
    (ours, our_cost), (theirs, their_cost) = (
        (statistics.median(values) for values in zip(*found[side])) for side in SIDES
    )
    return (
        f"| {case} | {ours:,.0f} | {theirs:,.0f} | {ours / theirs:.2f} | "
        f"{our_cost:.3f} | {their_cost:.3f} | {their_cost / our_cost:.2f} |"
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=3, help="turns of both sides (default: 3)")
    parser.add_argument("--seconds", type=float, default=5, help="of a turn (default: 5)")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--case", choices=CASES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.side:
        measure(args.side, args.case, args.folder, args.seconds)
        return
    lines = [
        "| | mindres, images/s | PyTorch, images/s | over PyTorch "
        "| mindres, processor ms an image | PyTorch, processor ms | over PyTorch |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as folder:
        for number, case in enumerate(CASES):
            lines.append(turns(case, args.rounds, args.seconds, Path(folder) / str(number)))
    table = "\n".join(lines)
    print(table)
    if args.out:
        args.out.write_text(f"{HEADING}\n{table}\n", encoding="utf-8")


if __name__ == "__main__":
    main()
