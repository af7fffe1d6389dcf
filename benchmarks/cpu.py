"""Training and inference speed on this CPU: mindres against MindCV on plain MindSpore.

    python -m benchmarks.cpu                      every case, 5 rounds
    python -m benchmarks.cpu --quick              ResNet-50 training at 32x32 alone
    python -m benchmarks.cpu --out FILE.md        keep the table

Each side of a case is a process of its own, because the oneDNN setting belongs to a process. All of them are
started and warmed up first; then they take turns, round by round, so that a machine whose speed drifts drifts for
all. The table has the median images/s, the spread, and the median of the ratios round by round.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from importlib.metadata import version
from pathlib import Path

import numpy as np

# (network, side of the image, batch, training or inference, steps in a round of the fast side and of the slow one)
CASES = [
    ("resnet50", 32, 32, "train", 10, 2),
    ("resnet50", 32, 32, "infer", 20, 4),
    ("resnet18", 32, 32, "train", 20, 2),
    ("resnet50", 224, 8, "train", 2, 1),
]
SIDES = ("mindres", "mindcv")


def step_function(side: str, network: str, size: int, batch: int, what: str, stack):
    """A function that does one step of `network` as `side` does it, and waits for it; `stack` is left at the end."""
    if side == "mindres":
        import mindres

        net = mindres.create_model(network, num_classes=10)
    import mindspore
    from mindspore import nn

    if side == "mindcv":
        import mindcv

        net = mindcv.create_model(network, num_classes=10)
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    random = np.random.default_rng(0)
    images = mindspore.Tensor(random.standard_normal((batch, 3, size, size), np.float32))
    labels = mindspore.Tensor(random.integers(0, 10, batch), mindspore.int32)
    if side == "mindres":
        # As mindres.train and mindres.evaluate do.
        from mindres import native

        stack.enter_context(native.accelerated(net))
    if what == "infer":
        net.set_train(False)
        return lambda: net(images).asnumpy()
    optimizer = nn.Momentum(net.trainable_params(), 0.001, 0.9)
    step = nn.TrainOneStepCell(nn.WithLossCell(net, nn.CrossEntropyLoss()), optimizer)
    step.set_train()
    return lambda: step(images, labels).asnumpy()


def worker(side: str, *case) -> None:
    """Answer each line `n` on standard input with the seconds that n steps take."""
    network, size, batch, what = case[0], int(case[1]), int(case[2]), case[3]
    with contextlib.ExitStack() as stack:
        answer(step_function(side, network, size, batch, what, stack))


def answer(step) -> None:
    step(), step()
    print("ready", flush=True)
    for line in sys.stdin:
        started = time.perf_counter()
        for _ in range(int(line)):
            step()
        print(json.dumps(time.perf_counter() - started), flush=True)


class Side:
    """A worker process that has warmed up and waits for its turn."""

    def __init__(self, name: str, case):
        environment = {k: v for k, v in os.environ.items() if k != "ONEDNN_MAX_CPU_ISA"}
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cpu", "--worker", name, *map(str, case[:4])], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment)
        self.steps = case[4] if name == "mindres" else case[5]
        self.batch = case[2]
        while (line := self.process.stdout.readline()) and line.strip() != "ready":
            pass
        if not line:
            raise SystemExit(f"the worker {name} {case} did not start")

    def images_per_second(self) -> float:
        self.process.stdin.write(f"{self.steps}\n")
        self.process.stdin.flush()
        return self.steps * self.batch / float(self.process.stdout.readline())

    def close(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def measure(case, rounds: int) -> dict[str, list[float]]:
    """Images/s of each side, round by round."""
    sides = {name: Side(name, case) for name in SIDES}
    try:
        results = {name: [] for name in SIDES}
        for _ in range(rounds):
            for name, side in sides.items():
                results[name].append(side.images_per_second())
        return results
    finally:
        for side in sides.values():
            side.close()


def row(case, results) -> str:
    ours, peer = results["mindres"], results["mindcv"]
    ratios = [a / b for a, b in zip(ours, peer)]

    def show(values):
        return f"{statistics.median(values):.1f} ({min(values):.1f} to {max(values):.1f})"

    name = f"{case[0]}, {case[1]}x{case[1]}, batch {case[2]}"
    return f"| {name} | {case[3]} | {show(ours)} | {show(peer)} | {show(ratios)} |"


def machine() -> str:
    """The processor, its cores, and the versions that matter."""
    model = platform.processor()
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        model = next((line.partition(":")[2].strip() for line in cpuinfo.read_text().splitlines()
                      if line.startswith("model name")), model)
        model += ", AVX-512" if "avx512f" in cpuinfo.read_text() else ""
    packages = ", ".join(f"{name} {version(name)}" for name in ("mindspore", "mindcv", "numpy"))
    return f"{model}, {os.cpu_count()} cores; Python {platform.python_version()}, {packages}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="the first case alone, 3 rounds")
    parser.add_argument("--rounds", type=int, help="rounds of each case (default: 5, with --quick 3)")
    parser.add_argument("--out", type=Path, help="write the table to this file too")
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(*args.worker)
    rounds = args.rounds or (3 if args.quick else 5)
    lines = [f"Command: `python -m benchmarks.cpu{' --quick' if args.quick else ''}`, {rounds} rounds. "
             f"Machine: {machine()}.", "",
             "| case | | mindres, images/s | MindCV on plain MindSpore, images/s | ratio |",
             "| --- | --- | --- | --- | --- |"]
    print("\n".join(lines), flush=True)
    for case in CASES[:1] if args.quick else CASES:
        lines.append(row(case, measure(case, rounds)))
        print(lines[-1], flush=True)
    if args.out:
        args.out.parent.mkdir(parents=True, exist_ok=True)
        args.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
