"""Speed and memory on this CPU: mindres against MindSpore as it comes, PyTorch and ONNX Runtime.

    python -m benchmarks.cpu                 every case, into benchmarks/results/cpu.md
    python -m benchmarks.cpu --quick         ResNet-20 and ResNet-50 at 32x32 against PyTorch, printed only

Sides:
    mindres              as `mindres.train` and `mindres.evaluate` run it: graph mode, native operators
    MindSpore            MindSpore as it comes, with MindCV's network, or mindres's where MindCV has none
    capped               step 1: mindres without native operators (MINDRES_NATIVE=0): MindSpore's, oneDNN kept to AVX2
    convolutions         step 2: native operators for convolutions alone
    fused                step 3: native operators for convolution, normalisation and ReLU in one; plain layouts between
    PyTorch, compiled    eager, and with torch.compile
    ONNX Runtime         the network that `mindres export` wrote
    MindVision           its CIFAR-10 pipeline
The weights and images are random; the pipelines read CIFAR-10 files of random images and augment them alike (shift by
up to 4 pixels, mirror, normalise) with two workers. Each side of a case is a process of its own. All of them start and
warm up first; then they take turns, round by round, so that a machine whose speed drifts drifts for all. The table has
the median images/s, the range, the ratios (mindres's images/s over the side's, the median and range of the rounds),
and the peak memory of the process.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import pickle
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import version
from pathlib import Path

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "results" / "cpu.md"
# What is done, with which network, side of the image, images in a batch.
NETWORKS = [
    ("resnet20", 32, 128),
    ("resnet50", 32, 32),
    ("resnet18", 32, 32),
    ("resnet50", 224, 8),
    ("convnet", 28, 32),
]
CASES = [
    *((what, *network) for network in NETWORKS for what in ("train", "infer")),
    ("load", "cifar10", 32, 128),
]
QUICK = [case for case in CASES if case[1:] in NETWORKS[:2]]
SIDES = {
    "train": ["mindres", "MindSpore", "capped", "convolutions", "fused", "PyTorch", "compiled"],
    "infer": [
        "mindres",
        "MindSpore",
        "capped",
        "convolutions",
        "fused",
        "PyTorch",
        "compiled",
        "ONNX Runtime",
    ],
    "load": ["mindres", "MindVision", "PyTorch"],
}
WORDS = {"train": "training", "infer": "inference of", "load": "reading"}
ENVIRONMENT = {
    "capped": {"MINDRES_NATIVE": "0"},
    "MindSpore": {"MINDRES_NATIVE": "0", "ONEDNN_MAX_CPU_ISA": "DEFAULT"},
}
IMAGES = 50_000  # for training in the files that the pipelines read, as published


def batch_of(network: str, size: int, batch: int):
    random = np.random.default_rng(0)
    channels = 1 if network == "convnet" else 3
    return random.standard_normal((batch, channels, size, size), np.float32), random.integers(
        0, 10, batch
    )


def mindspore_step(side: str, what: str, network: str, size: int, batch: int, stack):
    """A function that does one step and waits for it; `stack` is left at the end."""
    import mindres  # isort: skip  before mindspore
    import mindspore
    from mindspore import nn

    from mindres.native import accelerate
    from mindres.training import recipes, step

    net = None
    if side == "MindSpore":
        import mindcv

        if mindcv.is_model(network):
            net = mindcv.create_model(network, num_classes=10)
    net = net or mindres.create_model(network, num_classes=10)
    images, labels = batch_of(network, size, batch)
    images, labels = mindspore.Tensor(images), mindspore.Tensor(labels, mindspore.int32)
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    native_step = side if side in accelerate.STEPS else "chained"
    if what == "infer":
        net.set_train(False)
        stack.enter_context(accelerate.accelerated(net, fixed=True, step=native_step))
        return lambda: net(images).asnumpy()
    stack.enter_context(accelerate.accelerated(net, step=native_step))
    optimizer = nn.Momentum(net.trainable_params(), 0.001, 0.9)
    step = step.training_step(net, optimizer, recipes.make_recipe("tutorial")).set_train()
    return lambda: step(images, labels).asnumpy()


def torch_step(side: str, what: str, network: str, size: int, batch: int):
    import torch

    from benchmarks import torch_resnet

    net = getattr(torch_resnet, network)(num_classes=10)
    forward = torch.compile(net) if side == "compiled" else net
    images, labels = map(torch.from_numpy, batch_of(network, size, batch))
    optimizer = torch.optim.SGD(net.parameters(), 0.001, 0.9)
    net.train(what == "train")

    def train():
        optimizer.zero_grad(set_to_none=True)
        loss = torch.nn.functional.cross_entropy(forward(images), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def infer():
        with torch.inference_mode():
            return forward(images).numpy()

    return train if what == "train" else infer


def onnx_step(network: str, size: int, batch: int, folder: str):
    import onnxruntime

    path = Path(folder) / f"{network}-{size}.onnx"
    if not path.exists():  # by another process, whose memory is not counted
        code = (
            f"import mindres; net = mindres.create_model({network!r}, num_classes=10); "
            f"mindres.export_model(net, {str(path)!r}, metadata={{'input_size': ({size}, {size})}})"
        )
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    images, _ = batch_of(network, size, batch)
    return lambda: session.run(["logits"], {"input": images})[0]


def write_cifar10(folder: Path, key) -> None:
    """CIFAR-10's files with random images. Their keys were byte strings: some programs read them as text."""
    folder.mkdir(parents=True)
    random, count = np.random.default_rng(0), IMAGES // 5
    for name in [*(f"data_batch_{i}" for i in range(1, 6)), "test_batch"]:
        batch = {
            "data": random.integers(0, 256, (count, 3072), np.uint8),
            "labels": random.integers(0, 10, count).tolist(),
        }
        (folder / name).write_bytes(
            pickle.dumps({key(field): value for field, value in batch.items()}, 2)
        )
    names = {key("label_names"): [key(f"class {i}") for i in range(10)]}
    (folder / "batches.meta").write_bytes(pickle.dumps(names, 2))


def pipeline(side: str, size: int, batch: int, folder: str):
    """A function that reads one epoch and returns how many images that was."""
    if side == "PyTorch":
        loader = torch_loader(Path(folder, "bytes", "cifar-10-batches-py"), batch)
        return lambda: sum(len(labels) for _, labels in loader)
    if side == "mindres":
        from mindres.data.cifar import Cifar10

        data = Cifar10(
            Path(folder, "bytes"),
            split="train",
            batch_size=batch,
            resize=size,
            num_parallel_workers=2,
        )
    else:
        import mindres  # noqa: F401  # isort: skip  lets MindVision be imported
        import mindspore.dataset.vision as vision
        from mindvision.classification.dataset import Cifar10

        transform = [
            vision.RandomCrop(size, (4, 4, 4, 4)),
            vision.RandomHorizontalFlip(),
            vision.Rescale(1 / 255, 0),
            vision.Normalize((0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)),
            vision.HWC2CHW(),
        ]
        data = Cifar10(
            str(Path(folder, "text")),
            split="train",
            batch_size=batch,
            resize=size,
            transform=transform,
            num_parallel_workers=2,
        )
    iterator = data.run().create_tuple_iterator(num_epochs=-1, output_numpy=True)
    return lambda: sum(len(labels) for _, labels in iterator)


def torch_loader(path: Path, batch: int):
    import torch

    class Cifar(torch.utils.data.Dataset):
        def __init__(self):
            batches = [
                pickle.loads((path / f"data_batch_{i}").read_bytes(), encoding="bytes")
                for i in range(1, 6)
            ]
            self.images = torch.from_numpy(
                np.concatenate([b[b"data"] for b in batches]).reshape(-1, 3, 32, 32)
            )
            self.labels = np.concatenate([b[b"labels"] for b in batches])
            self.mean = torch.tensor((0.4914, 0.4822, 0.4465))[:, None, None]
            self.std = torch.tensor((0.2023, 0.1994, 0.2010))[:, None, None]

        def __len__(self):
            return len(self.labels)

        def __getitem__(self, i):
            image = torch.nn.functional.pad(self.images[i], (4, 4, 4, 4))
            top, left, mirror = torch.randint(9, ()), torch.randint(9, ()), torch.rand(()) < 0.5
            image = image[:, top : top + 32, left : left + 32]
            return ((image.flip(2) if mirror else image) / 255 - self.mean) / self.std, int(
                self.labels[i]
            )

    return torch.utils.data.DataLoader(
        Cifar(), batch, shuffle=True, num_workers=2, drop_last=True, persistent_workers=True
    )


def worker(side: str, folder: str, case) -> None:
    """Answer each line, a number of seconds, with the images/s of so long; at the end, with the peak memory."""
    what, network, size, batch = case[0], case[1], int(case[2]), int(case[3])
    with contextlib.ExitStack() as stack:
        if what == "load":
            step = pipeline(side, size, batch, folder)
        elif side in ("PyTorch", "compiled"):
            step = torch_step(side, what, network, size, batch)
        elif side == "ONNX Runtime":
            step = onnx_step(network, size, batch, folder)
        else:
            step = mindspore_step(side, what, network, size, batch, stack)
        for _ in range(1 if what == "load" else 3):
            step()
        print("BENCH 0", flush=True)
        for line in sys.stdin:
            images, started = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - started) < float(line):
                images += step() if what == "load" else (step(), batch)[1]
            print("BENCH", images / elapsed, flush=True)
        status = Path("/proc/self/status").read_text()
        print("BENCH", int(status.partition("VmHWM:")[2].split()[0]) / 1024, flush=True)


class Side:
    """A worker process that has warmed up and waits for its turn."""

    def __init__(self, name: str, case, folder: str):
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("ONEDNN_", "MINDRES_NATIVE"))
        }
        # Not into a pipe, which nobody would empty.
        self.noise = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cpu", "--worker", name, folder, *map(str, case)],
            text=True,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.noise,
            env={**environment, **ENVIRONMENT.get(name, {})},
        )
        self.answer()

    def answer(self) -> float:
        while line := self.process.stdout.readline():
            if line.startswith("BENCH "):
                return float(line[6:])
        self.noise.seek(0)
        sys.exit(f"a worker ended with status {self.process.wait()}: {self.noise.read()[-1000:]}")

    def images_per_second(self, seconds: float) -> float:
        print(seconds, file=self.process.stdin, flush=True)
        return self.answer()

    def close(self) -> float:
        """The peak memory, in MiB."""
        self.process.stdin.close()
        peak = self.answer()
        self.process.stdout.close()
        self.process.wait()
        return peak


def measure(case, names, args, folder: str) -> list[str]:
    """The rows of a case."""
    sides = {name: Side(name, case, folder) for name in names}
    results = {name: [] for name in sides}
    for _ in range(args.rounds):
        for name, side in sides.items():
            results[name].append(side.images_per_second(args.seconds))
    what, network, size, batch = case
    title = f"{WORDS[what]} {network}, {size}x{size}, batch {batch}"
    rows = []
    for name, side in sides.items():
        ratios = [ours / theirs for ours, theirs in zip(results["mindres"], results[name])]
        rows.append(
            f"| {title} | {name} | {show(results[name])} | {'' if name == 'mindres' else show(ratios)} | "
            f"{side.close():,.0f} |"
        )
        print(rows[-1], flush=True)
    return rows


def show(values) -> str:
    digits = max(0, 2 - math.floor(math.log10(statistics.median(values))))
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


def machine() -> str:
    """The processor, its cores, and the versions that matter."""
    model, cpuinfo = platform.processor(), Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text()
        model = lines.partition("model name")[2].partition(":")[2].partition("\n")[0].strip()
        model += ", AVX-512" if "avx512f" in lines else ""
    packages = ", ".join(
        f"{name} {version(name)}"
        for name in ("mindspore", "mindcv", "mindvision", "torch", "onnxruntime", "numpy")
    )
    return f"{model}, {len(os.sched_getaffinity(0))} cores; Python {platform.python_version()}, {packages}"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "--quick", action="store_true", help="four cases, two sides, three short rounds"
    )
    parser.add_argument(
        "--rounds", type=int, help="turns of each side (default: 7, with --quick 3)"
    )
    parser.add_argument(
        "--seconds", type=float, help="length of a turn (default: 3, with --quick 2)"
    )
    parser.add_argument(
        "--cases", nargs="+", metavar="WHAT,NETWORK,SIZE,BATCH", help="default: all"
    )
    parser.add_argument("--sides", nargs="+", help="default: all; mindres is always there")
    parser.add_argument(
        "--out",
        type=Path,
        help="file for the table (default, but for --quick: benchmarks/results/cpu.md)",
    )
    parser.add_argument("--worker", nargs=6, help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        return worker(args.worker[0], args.worker[1], args.worker[2:])
    args.rounds, args.seconds = (
        args.rounds or (3 if args.quick else 7),
        args.seconds or (2 if args.quick else 3),
    )
    cases = (
        [(*case.split(",")[:2], *map(int, case.split(",")[2:])) for case in args.cases]
        if args.cases
        else QUICK
        if args.quick
        else CASES
    )
    wanted = args.sides or (["PyTorch"] if args.quick else None)
    head = "| case | side | images/s | mindres is faster by | peak memory, MiB |\n| --- | --- | --- | --- | --- |"
    about = (
        f"Command: `{' '.join(['python -m benchmarks.cpu', *sys.argv[1:]])}`, {date.today()}, {args.rounds} turns "
        f"of {args.seconds:g} s. {machine()}."
    )
    print(f"{about}\n\n{head}", flush=True)
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            if case[0] == "load":
                write_cifar10(Path(folder, "bytes", "cifar-10-batches-py"), str.encode)
                write_cifar10(Path(folder, "text", "cifar-10-batches-py"), str)
            names = [
                side for side in SIDES[case[0]] if side == "mindres" or not wanted or side in wanted
            ]
            rows += measure(case, names, args, folder)
    out = args.out or (None if args.quick else OUT)
    if out:
        sides = __doc__.partition("Sides:\n")[2]
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_text(
            f"# Speed and memory on CPU\n\n{about}\n\n```\n{sides.rstrip()}\n```\n\n{head}\n"
            + "\n".join(rows)
            + "\n",
            encoding="utf-8",
        )


if __name__ == "__main__":
    main()
