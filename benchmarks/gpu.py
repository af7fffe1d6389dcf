"""ResNet-50 on a GPU: training and inference images/s of mindres against PyTorch, in one run.

    python -m benchmarks.gpu                        every case, into benchmarks/results/gpu.md
    python -m benchmarks.gpu --device CPU --cases train,32,2 --seconds 1 --rounds 2      a rehearsal, printed only

mindres trains as it does by default: graph mode, O2 mixed precision with dynamic loss scaling, cuDNN's autotuning.
PyTorch has channels-last tensors, cuDNN's autotuning and autocast to float16 (with its gradient scaler) or bfloat16,
each plain and with torch.compile. The images are random and stay on the device, so that no input pipeline is
measured. Each side is a process of its own that starts, warms up and then takes turns with the other, round by
round: the table has the median images/s, the range, and the median of the ratios of the rounds.
"""

from __future__ import annotations

import argparse
import json
import math
import platform
import statistics
import subprocess
import sys
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "results" / "gpu.md"
# Training or inference, the side of the images, and the batch size.
CASES = [
    "train,224,64",
    "train,224,256",
    "train,32,64",
    "train,32,256",
    "infer,224,64",
    "infer,224,256",
    "infer,32,64",
    "infer,32,256",
]
PEERS = ["float16", "float16+compile", "bfloat16", "bfloat16+compile"]
PARAMETERS = 25_557_032


def data(size: int, batch: int):
    random = np.random.default_rng(0)
    return (
        random.standard_normal((batch, 3, size, size), np.float32),
        random.integers(0, 1000, batch).astype(np.int32),
    )


def mindres_step(device: str, what: str, size: int, batch: int):
    """A function that does a number of mindres's steps and waits for the last."""
    import mindres

    mindres.set_device(device)
    import mindspore
    from mindspore import nn

    from mindres.devices import DEFAULTS
    from mindres.training import recipes, step

    net = mindres.resnet50()
    assert sum(p.size for p in net.trainable_params()) == PARAMETERS
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    level = DEFAULTS[device].amp_level
    network = net if level == "O0" else mindspore.amp.auto_mixed_precision(net, level)
    images, labels = map(mindspore.Tensor, data(size, batch))
    if what == "train":
        optimizer = nn.Momentum(net.trainable_params(), 0.001, 0.9)
        cell = step.training_step(
            network, optimizer, recipes.make_recipe("tutorial"), mixed_precision=level != "O0"
        )
        cell.set_train()
        arguments = images, labels
    else:
        cell, arguments = network.set_train(False), (images,)

    def run(count):
        for _ in range(count):
            result = cell(*arguments)
        return (result[0] if isinstance(result, tuple) else result).asnumpy()

    return run


def torch_step(device: str, what: str, size: int, batch: int, peer: str):
    """A function that does a number of PyTorch's steps and waits for the last."""
    import torch

    from benchmarks.torch_resnet import resnet50

    dtype, _, compiled = peer.partition("+")
    place = torch.device("cuda" if device == "GPU" else "cpu")
    torch.backends.cudnn.benchmark = True
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    net = resnet50().to(place, memory_format=torch.channels_last)
    assert sum(p.numel() for p in net.parameters()) == PARAMETERS
    images, labels = (torch.from_numpy(array).to(place) for array in data(size, batch))
    images, labels = images.to(memory_format=torch.channels_last), labels.long()
    forward = torch.compile(net) if compiled else net
    autocast = torch.autocast(place.type, getattr(torch, dtype))
    optimizer = torch.optim.SGD(net.parameters(), 0.001, 0.9)
    scaler = torch.amp.GradScaler(place.type, enabled=dtype == "float16" and device == "GPU")
    net.train(what == "train")

    def train():
        optimizer.zero_grad(set_to_none=True)
        with autocast:
            loss = torch.nn.functional.cross_entropy(forward(images), labels)
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()

    def infer():
        with torch.inference_mode(), autocast:
            forward(images)

    def run(count):
        for _ in range(count):
            train() if what == "train" else infer()
        if device == "GPU":
            torch.cuda.synchronize()

    return run


def describe(side: str, device: str) -> dict:
    """The versions of a side, and its name of the GPU."""
    if side == "mindres":
        from mindres.devices import gpu

        found = {"mindspore": version("mindspore")}
        if device == "GPU":
            card = gpu.query()[0][0]
            found["gpu"] = (
                f"{card.name}, compute capability {card.capability[0]}.{card.capability[1]}"
            )
        return found
    import torch

    return {"torch": torch.__version__, "cuda": torch.version.cuda}


def worker(side: str, device: str, what: str, size: int, batch: int) -> None:
    """Answer each line `n` on standard input with the seconds that n steps take, as JSON lines after `BENCH `."""

    def say(**answer):
        print("BENCH", json.dumps(answer), flush=True)

    try:
        run = (
            mindres_step(device, what, size, batch)
            if side == "mindres"
            else torch_step(device, what, size, batch, side)
        )
        run(3)
        started = time.perf_counter()
        run(3)
        say(step_s=(time.perf_counter() - started) / 3, **describe(side, device))
        for line in sys.stdin:
            started = time.perf_counter()
            run(int(line))
            say(seconds=time.perf_counter() - started)
    except Exception as error:  # the table shows it
        lines = [line for line in str(error).splitlines() if line.strip(" -")] or [
            type(error).__name__
        ]
        memory = next((line for line in lines if "memory" in line.lower()), None)
        say(error="out of memory" if memory else lines[0][:120])


class Side:
    """A worker that has warmed up and waits for its turn, or the reason why it does not."""

    def __init__(self, name: str, args, case: str):
        python = sys.executable if name == "mindres" else args.torch_python
        self.batch, self.error = int(case.split(",")[2]), None
        self.process = subprocess.Popen(
            [
                python,
                "-m",
                "benchmarks.gpu",
                "--worker",
                name,
                *case.split(","),
                args.device,
            ],
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            cwd=ROOT,
        )
        self.about = self.answer()
        self.steps = max(1, math.ceil(args.seconds / self.about.get("step_s", 1)))

    def answer(self) -> dict:
        while line := self.process.stdout.readline():
            if line.startswith("BENCH "):
                answer = json.loads(line[6:])
                self.error = answer.get("error")
                return answer
        self.error = f"ended with status {self.process.wait()}"
        return {}

    def images_per_second(self) -> float:
        self.process.stdin.write(f"{self.steps}\n")
        self.process.stdin.flush()
        seconds = self.answer().get("seconds")
        return self.steps * self.batch / seconds if seconds else math.nan

    def close(self) -> None:
        self.process.stdin.close()
        self.process.stdout.close()
        self.process.wait()


def measure(case: str, args):
    """The rows of a case, and the versions of the sides."""
    what, size, batch = case.split(",")
    name = f"{'training' if what == 'train' else 'inference'}, {size}x{size}, batch {batch}"
    ours, rows, about = Side("mindres", args, case), [], {}
    about.update(ours.about)
    for peer in args.peers:
        theirs = Side(peer, args, case)
        about.update(theirs.about)
        pairs = []
        while not ours.error and not theirs.error and len(pairs) < args.rounds:
            pairs.append((ours.images_per_second(), theirs.images_per_second()))
        theirs.close()
        if ours.error or theirs.error:
            rows.append(
                f"| {name} | {ours.error or 'runs'} | {peer} | {theirs.error or 'runs'} | |"
            )
        else:
            rows.append(
                f"| {name} | {show([a for a, _ in pairs])} | {peer} | {show([b for _, b in pairs])} | "
                f"{show([a / b for a, b in pairs])} |"
            )
        print(rows[-1], flush=True)
    ours.close()
    return rows, about


def show(values) -> str:
    digits = max(0, 2 - math.floor(math.log10(statistics.median(values))))
    return f"{statistics.median(values):.{digits}f} ({min(values):.{digits}f} to {max(values):.{digits}f})"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--device", default="GPU", choices=("GPU", "CPU"), help="CPU is a rehearsal (default: GPU)"
    )
    parser.add_argument(
        "--cases", nargs="+", default=CASES, metavar="WHAT,SIZE,BATCH", help="default: all eight"
    )
    parser.add_argument(
        "--peers", nargs="+", default=PEERS, choices=PEERS, help="default: all four"
    )
    parser.add_argument("--rounds", type=int, default=7, help="turns of each side (default: 7)")
    parser.add_argument("--seconds", type=float, default=3, help="length of a turn (default: 3)")
    parser.add_argument(
        "--torch_python",
        default=sys.executable,
        help="interpreter that has PyTorch, where it is another (default: this one)",
    )
    parser.add_argument(
        "--out", type=Path, help="file for the table (default on GPU: benchmarks/results/gpu.md)"
    )
    parser.add_argument("--worker", nargs=5, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        side, what, size, batch, device = args.worker
        return worker(side, device, what, int(size), int(batch))
    if args.device == "GPU":
        from mindres.devices import gpu

        if lacks := gpu.missing():
            sys.exit(f"no GPU to measure on: {lacks}")
    head = "| ResNet-50 | mindres, images/s | PyTorch | images/s | mindres / PyTorch |\n| --- | --- | --- | --- | --- |"
    print(head, flush=True)
    rows, about = [], {}
    for case in args.cases:
        found, versions = measure(case, args)
        rows += found
        about.update(versions)
    command = " ".join(["python -m benchmarks.gpu", *sys.argv[1:]])
    made = "; ".join(
        [
            *(
                f"{key} {value}"
                for key, value in about.items()
                if key not in ("step_s", "error") and value
            ),
            f"Python {platform.python_version()}",
        ]
    )
    print(f"\nCommand: `{command}`, {date.today()}. {made}.")
    out = args.out or (OUT if args.device == "GPU" else None)
    if out:
        text = [
            f"# ResNet-50 on {args.device}: mindres against PyTorch",
            "",
            "Median (range) over turns of each side; the ratio is the median of the turns' ratios.",
            "",
            f"Command: `{command}`, {date.today()}. {made}.",
            "",
            head,
            *rows,
        ]
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text("\n".join(text) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
