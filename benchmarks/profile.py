"""The time of a step by kind of operator on this CPU, against the time of arithmetic alone.

    python -m benchmarks.profile                          training ResNet-20 at 32x32, batch 128
    python -m benchmarks.profile --what infer --network resnet50 --batch 32

A process runs the step with ONEDNN_VERBOSE=1, with which oneDNN prints every primitive, mindres
every operator, and their times. The rest of the step is MindSpore's: its own kernels, copies and
scheduling. The limit is the number of the step's multiply-adds (three times that of inference in
training, for the gradients of inputs and weights) divided by the rate of NumPy's product of large
matrices in the same process.
"""

from __future__ import annotations

import argparse
import contextlib
import os
import re
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
EXECUTED = re.compile(r"onednn_verbose,v\d+,primitive,exec,cpu,(\w+),([^,]*),(\w+),.*,([\d.]+)$")
NORM = re.compile(r"mindres_verbose,((?:frozen_)?norm\w*),([\d.e-]+)$")
STEPS = 20


def worker(what: str, network: str, size: int, batch: int) -> None:
    """Print BENCH lines: seconds per step, and multiply-adds per second of a matrix product."""
    from benchmarks.sides import mindspore_step

    with contextlib.ExitStack() as stack:
        step = mindspore_step(what, network, size, batch, stack)
        for _ in range(3):
            step()
        print("BENCH begin", flush=True)
        started = time.perf_counter()
        for _ in range(STEPS):
            step()
        print("BENCH end", (time.perf_counter() - started) / STEPS, flush=True)
    import numpy as np

    side = 2048
    matrix = np.random.default_rng(0).standard_normal((side, side), np.float32)
    rates = []
    for _ in range(12):
        started = time.perf_counter()
        matrix @ matrix
        rates.append(side**3 / (time.perf_counter() - started))
    print("BENCH rate", max(rates), flush=True)


def profile(what: str, network: str, size: int, batch: int) -> str:
    """The table, as Markdown."""
    import mindres
    from mindres.models.summary import summarize

    out = subprocess.run(
        [
            sys.executable,
            "-m",
            "benchmarks.profile",
            "--worker",
            what,
            network,
            str(size),
            str(batch),
        ],
        cwd=ROOT,
        env={**os.environ, "ONEDNN_VERBOSE": "1"},
        text=True,
        stdout=subprocess.PIPE,
        check=True,
    ).stdout
    found = dict(re.findall(r"BENCH (\w+) ?(.*)", out))
    step, rate = float(found["end"]), float(found["rate"])
    spent, count = Counter(), Counter()
    for line in out.partition("BENCH begin")[2].partition("BENCH end")[0].splitlines():
        if match := EXECUTED.search(line):
            kind, implementation, direction, milliseconds = match.groups()
            name = f"{kind}, {direction.replace('_', ' ')}, {implementation}"
        elif match := NORM.search(line):
            name, milliseconds = f"batch normalisation, addition and ReLU, {match[1]}", match[2]
        else:
            continue
        spent[name] += float(milliseconds) / STEPS / 1000
        count[name] += 1 / STEPS
    net = mindres.create_model(network, num_classes=10)
    work = summarize(net, (1 if network == "convnet" else 3, size, size)).multiply_adds * batch
    limit = work * (3 if what == "train" else 1) / rate
    named = [name for name, _ in spent.most_common(12)]
    rows = [
        f"| {name} | {count[name]:.0f} | {spent[name] * 1000:.1f} | {spent[name] / step:.0%} |"
        for name in named
    ]
    others = [sum(table[name] for name in table if name not in named) for table in (count, spent)]
    rows.append(f"| others | {others[0]:.0f} | {others[1] * 1000:.1f} | {others[1] / step:.0%} |")
    rest, what_rests = step - sum(spent.values()), "MindSpore: its own kernels, copies, scheduling"
    rows.append(f"| {what_rests} | | {rest * 1000:.1f} | {rest / step:.0%} |")
    return (
        f"{what} {network}, {size}x{size}, batch {batch}: {step * 1000:.1f} ms a step; arithmetic "
        f"alone {limit * 1000:.1f} ms ({rate / 1e9:.0f} G multiply-adds a second), "
        f"{limit / step:.0%} of it\n\n"
        "| primitive or operator | calls | ms | share |\n| --- | --- | --- | --- |\n"
        + "\n".join(rows)
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--what", choices=("train", "infer"), default="train", help="default: train"
    )
    parser.add_argument("--network", default="resnet20", help="default: resnet20")
    parser.add_argument("--size", type=int, default=32, help="side of the images (default: 32)")
    parser.add_argument("--batch", type=int, default=128, help="images in a batch (default: 128)")
    parser.add_argument("--worker", nargs=4, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(*args.worker[:2], *map(int, args.worker[2:]))
    print(profile(args.what, args.network, args.size, args.batch))


if __name__ == "__main__":
    main()
