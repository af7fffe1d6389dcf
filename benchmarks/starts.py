"""What the start of a training costs by the number of images: seconds to the first batch, memory.

    python -m benchmarks.starts --out benchmarks/results/starts.md --picture docs/starts.png

For each number of images a tree of 100 class folders is made of hard links to 100 photographs. A
new process imports mindres, opens the training and the validation images, and waits for the first
batch of 32 images at 224 pixels: once with an empty cache, and once more. The million takes some
three minutes, and is removed again.
"""

from __future__ import annotations

import argparse
import os
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.data import ROOT, write_photographs

COUNTS = (1_000, 10_000, 100_000, 1_000_000)
CLASSES = 100
SETTLED = 3  # seconds after which the times of new folders are trusted
HEADING = """# The start of a training

`python -m benchmarks.starts`: from the start of a process to the first batch of 32 images at 224
pixels, with the validation images opened too.
"""
TICKS = (1, 2, 5, 10, 20)  # seconds
STARTS = ("first start", "later starts")


def write_links(source: Path, folder: Path, count: int) -> None:
    """Write class folders of `count` images: hard links to those in `source`."""
    files = sorted(source.glob("*.jpg"))
    for number in range(CLASSES):
        (folder / f"class{number:02}").mkdir(parents=True)
    for number in range(count):
        target = folder / f"class{number % CLASSES:02}" / f"photograph_{number:07}.jpg"
        os.link(files[number // CLASSES % len(files)], target)


def start(folder: Path) -> None:
    """Print a BENCH line: wall-clock and processor seconds to the first batch, and peak MiB."""
    started = time.time()
    from mindres.data import ImageFolder

    train, _ = (ImageFolder(folder, split, resize=224) for split in ("train", "val"))
    imported = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    next(train.run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    seconds = time.time() - started
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
    print("BENCH", seconds, time.process_time(), imported, peak, flush=True)
    os._exit(0)  # MindSpore waits for its threads


def measured(folder: Path, cache: Path) -> list[float]:
    """What `start` prints in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.starts", "--folder", str(folder)]
    environment = {**os.environ, "MINDRES_CACHE": str(cache)}
    done = subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    line = next(line for line in done.stdout.splitlines() if line.startswith("BENCH"))
    return [float(value) for value in line.split()[1:]]


def draw(found: dict[int, list[list[float]]], path: Path) -> None:
    """Draw the seconds to the first batch by the number of images."""
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(6, 3.5), layout="constrained")
    for number, name in enumerate(STARTS):
        axes.plot(list(found), [rows[number][0] for rows in found.values()], "o-", label=name)
    axes.set(xscale="log", yscale="log", xlabel="images", ylabel="seconds to the first batch")
    axes.minorticks_off()
    axes.set_xticks(list(found), [f"{count:,}" for count in found])
    axes.set_yticks(TICKS, [str(seconds) for seconds in TICKS])
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(path, dpi=150)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--counts", nargs="+", type=int, default=COUNTS, help="numbers of images")
    parser.add_argument("--out", type=Path, help="also write the table to this file")
    parser.add_argument("--picture", type=Path, help="draw the seconds into this file")
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.folder:
        start(args.folder)
        return
    found = {}
    lines = [
        "| images | start | seconds to the first batch | of the processor | MiB when opened | peak |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    with tempfile.TemporaryDirectory() as place:
        write_photographs(Path(place) / "source", 375, 500, 100, 0)
        for count in args.counts:
            folder, cache = Path(place) / "photographs", Path(place) / f"cache{count}"
            write_links(Path(place) / "source", folder, count)
            time.sleep(SETTLED)
            found[count] = [measured(folder, cache) for _ in STARTS]
            shutil.rmtree(folder)
            for name, (seconds, processor, opened, peak) in zip(STARTS, found[count]):
                lines.append(
                    f"| {count:,} | {name} | {seconds:.1f} | {processor:.1f} | {opened:.0f} | "
                    f"{peak:.0f} |"
                )
                print(lines[-1], flush=True)
    if args.out:
        args.out.write_text("\n".join([HEADING, *lines]) + "\n", encoding="utf-8")
    if args.picture:
        draw(found, args.picture)


if __name__ == "__main__":
    main()
