"""Speed and memory on this CPU: mindres against plain MindSpore, PyTorch and others.

    python -m benchmarks.cpu                 every case, into benchmarks/results/cpu.md
    python -m benchmarks.cpu --quick         ResNet-20, ResNet-50 at 32x32 against PyTorch, printed

The sides are rows of benchmarks/sides.py. OpenVINO is left out if it is not installed, and bfloat16
if the processor does not have it.
Weights and images are random. Each side of a case is a process of its own. All of them start and
warm up first, two at a time, and then run by turns, round by round, so that changes of the
machine's speed affect all alike. The table has the median images/s, the range, the ratios
(mindres's images/s divided by the side's, the median and range of the rounds), and the peak memory
of the process. A table before it names the best of PyTorch and of the runtimes for each case,
beside the limit that oneDNN sets, and another one has the steps from MindSpore to mindres. The file
is written after each case.
"""

from __future__ import annotations

import argparse
import contextlib
import math
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from benchmarks import pipelines
from benchmarks.sides import SIDES

ROOT = Path(__file__).resolve().parents[1]
OUT = ROOT / "benchmarks" / "results" / "cpu.md"
# Training or inference, the network, the side of the images, and the batch size.
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
WORDS = {"train": "training", "infer": "inference of", "load": "reading"}
HEAD = (
    "| case | side | images/s | mindres is faster by | peak memory, MiB |\n"
    "| --- | --- | --- | --- | --- |"
)
# From MindSpore to mindres.
STEPS = ("MindSpore", "capped", "convolutions", "fused", "mindres")
# Sides that start and compile, most of it in one thread, at a time.
SIDE_BY_SIDE = 2
PACKAGES = ("mindspore", "mindcv", "mindvision", "torch", "onnxruntime", "openvino", "numpy")


def names_of_sides(what: str) -> list[str]:
    """The sides that do `what` and are available here."""
    if what == "load":
        return list(pipelines.SIDES)
    return [name for name, side in SIDES.items() if what in side.does and side.there()]


def worker(side: str, folder: str, case) -> None:
    """Answer each line, a number of seconds, with the images/s of so long.

    At the end, answer with the peak memory.
    """
    what, network, size, batch = case[0], case[1], int(case[2]), int(case[3])
    with contextlib.ExitStack() as stack:
        warm_up = 1
        if what == "load":
            step = pipelines.pipeline(side, size, batch, folder)
        else:
            warm_up = 1 if SIDES[side].most_images else 3
            batch = min(batch, SIDES[side].most_images or batch)
            step = SIDES[side].step(what, network, size, batch, stack, folder)
        for _ in range(warm_up):
            step()
        print("BENCH 0", flush=True)
        for line in sys.stdin:
            images, started = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - started) < float(line):
                images += step() if what == "load" else (step(), batch)[1]
            print("BENCH", images / elapsed, flush=True)
        status = Path("/proc/self/status").read_text()
        print("BENCH", int(status.partition("VmHWM:")[2].split()[0]) / 1024, flush=True)


class Worker:
    """A worker process. Its first answer says that it has warmed up and waits for its turn."""

    def __init__(self, name: str, case, folder: str):
        environment = {
            k: v for k, v in os.environ.items() if not k.startswith(("ONEDNN_", "MINDRES_NATIVE"))
        }
        # A file, because nobody would read a pipe.
        self.noise = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.cpu", "--worker", name, folder, *map(str, case)],
            text=True,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self.noise,
            env={**environment, **(SIDES[name].environment if name in SIDES else {})},
        )

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


def measure(case, names, args, folder: str) -> tuple[list[str], str, dict[str, float]]:
    """The rows of a case, its title, and the median images/s of each side."""
    workers = {}
    for i in range(0, len(names), SIDE_BY_SIDE):
        starting = {name: Worker(name, case, folder) for name in names[i : i + SIDE_BY_SIDE]}
        for worker in starting.values():
            worker.answer()
        workers |= starting
    results = {name: [] for name in workers}
    for _ in range(args.rounds):
        for name, worker in workers.items():
            results[name].append(worker.images_per_second(args.seconds))
    what, network, size, batch = case
    title = f"{WORDS[what]} {network}, {size}x{size}, batch {batch}"
    rows = []
    for name, worker in workers.items():
        ratios = [ours / theirs for ours, theirs in zip(results["mindres"], results[name])]
        faster = "" if name == "mindres" else show(ratios)
        rows.append(
            f"| {title} | {name} | {show(results[name])} | {faster} | {worker.close():,.0f} |"
        )
        print(rows[-1], flush=True)
    return rows, title, {name: statistics.median(values) for name, values in results.items()}


def groups() -> list[str]:
    """The groups of sides whose best is named."""
    return list(dict.fromkeys(side.group for side in SIDES.values() if side.group))


def table_of_best(medians) -> str:
    """mindres and the best of each group, by case; with its name, where a group has several."""
    rows = []
    for title, case in medians.items():
        cells = [number(case["mindres"])]
        for group in groups():
            members = [name for name, side in SIDES.items() if side.group == group]
            best = max(case.keys() & members, key=case.get, default=None)
            name = f" ({best})" if len(members) > 1 else ""
            cells.append(number(case[best]) + name if best else "")
        rows.append([title, *cells])
    return table(["case", "mindres", *groups()], rows)


def table_of_steps(medians) -> str:
    """What each step from plain MindSpore to mindres gave, by case."""
    rows = [
        [title, *(number(case[step]) if step in case else "" for step in STEPS)]
        for title, case in medians.items()
    ]
    return table(["case", *STEPS], rows)


def table(head, rows) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def show(values) -> str:
    """The median and, in brackets, the range, to three digits of the median."""
    median = statistics.median(values)
    return f"{number(median)} ({number(min(values), median)} to {number(max(values), median)})"


def number(value, precise=None) -> str:
    """`value` to three digits, or to as many places as those of `precise` have."""
    digits = max(0, 2 - math.floor(math.log10(precise or value)))
    return f"{value:,.{digits}f}"


def machine() -> str:
    """The processor, its cores, and the versions that matter."""
    model, cpuinfo = platform.processor(), Path("/proc/cpuinfo")
    if cpuinfo.exists():
        lines = cpuinfo.read_text()
        model = lines.partition("model name")[2].partition(":")[2].partition("\n")[0].strip()
        model += ", AVX-512" if "avx512f" in lines else ""
        for flag, words in (("amx_bf16", "AMX"), ("avx512_bf16", "AVX-512 with bfloat16")):
            if flag in lines:
                model += f", {words}"
    packages = []
    for name in PACKAGES:
        with contextlib.suppress(PackageNotFoundError):
            packages.append(f"{name} {version(name)}")
    cores = len(os.sched_getaffinity(0))
    return f"{model}, {cores} cores; Python {platform.python_version()}, {', '.join(packages)}"


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
    args.rounds = args.rounds or (3 if args.quick else 7)
    args.seconds = args.seconds or (2 if args.quick else 3)
    cases = QUICK if args.quick else CASES
    if args.cases:
        cases = [(*case.split(",")[:2], *map(int, case.split(",")[2:])) for case in args.cases]
    wanted = args.sides or (["PyTorch"] if args.quick else None)
    command = " ".join(["python -m benchmarks.cpu", *sys.argv[1:]])
    turns = f"{args.rounds} turns of {args.seconds:g} s"
    about = f"Command: `{command}`, {date.today()}, {turns}. {machine()}."
    print(f"{about}\n\n{HEAD}", flush=True)
    out = args.out or (None if args.quick else OUT)
    rows, medians = [], {}
    with tempfile.TemporaryDirectory() as folder:
        for case in cases:
            if case[0] == "load":
                pipelines.write_cifar10(Path(folder, "bytes", "cifar-10-batches-py"), str.encode)
                pipelines.write_cifar10(Path(folder, "text", "cifar-10-batches-py"), str)
            names = [
                name
                for name in names_of_sides(case[0])
                if name == "mindres" or not wanted or name in wanted
            ]
            rows_of_case, title, medians_of_case = measure(case, names, args, folder)
            rows += rows_of_case
            if case[0] != "load":
                medians[title] = medians_of_case
            if out:
                write(out, about, rows, medians)
    print(f"\n{table_of_best(medians)}")


def write(out: Path, about: str, rows, medians) -> None:
    """Write the tables, and what the sides are, to the file `out`."""
    sides = "\n".join(f"- {name}: {side.about}" for name, side in SIDES.items())
    parts = [
        "# Speed and memory on CPU",
        about,
        __doc__.partition("printed")[2].strip(),
        sides,
        table_of_best(medians),
        table_of_steps(medians),
        "\n".join([HEAD, *rows]),
    ]
    out.parent.mkdir(parents=True, exist_ok=True)
    out.write_text("\n\n".join(parts) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
