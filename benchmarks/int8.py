"""int8 beside float32 and bfloat16: accuracy and speed of trained networks, in each runtime.

    python -m benchmarks.int8 resnet20.ckpt --dataset cifar10 --dataset_path data
    python -m benchmarks.int8 ckpt/best.ckpt --dataset digits

Accuracy is that of up to 2,000 test images. Speed is that of the network on batches of prepared
images; the sides take turns, round by round. Appends to benchmarks/results/int8.md.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import time
from dataclasses import replace
from datetime import date
from itertools import islice
from pathlib import Path

import numpy as np

from benchmarks.cpu import machine
from mindres.data import DATASETS
from mindres.data.as_trained import describe, preprocess
from mindres.data.build import dataset_class
from mindres.errors import UserError
from mindres.export import openvino, proof, runtime
from mindres.export.exporter import export_model
from mindres.models.checkpoints import load_model

OUT = Path(__file__).resolve().parent / "results" / "int8.md"
HEAD = "| network | side | accuracy | images/s | times float32 |\n| --- | --- | --- | --- | --- |\n"
RUNTIMES = {
    "ONNX Runtime": (".onnx", runtime.EndToEndFile),
    "OpenVINO": (".xml", openvino.EndToEndFile),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("checkpoint")
    parser.add_argument("--dataset", required=True, choices=DATASETS)
    parser.add_argument("--dataset_path", default="./datasets")
    parser.add_argument("--batch_size", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=float, default=1.0, help="of each side in each round")
    args = parser.parse_args()
    net, metadata = load_model(args.checkpoint)
    kind = dataset_class(args.dataset)
    train, test = (kind(args.dataset_path, split=split) for split in ("train", "test"))
    if not metadata.mean:
        metadata = replace(describe(test), architecture=net.architecture)
    labelled = list(islice(proof.raw_images(test), proof.MOST_IMAGES))
    images = np.stack([preprocess(image, metadata) for image, _ in labelled])
    labels = np.array([label for _, label in labelled])
    with tempfile.TemporaryDirectory() as folder:
        sides = exported(net, metadata, Path(folder), test, train)
        rates = by_turns(sides, images[: args.batch_size], args.rounds, args.seconds)
        correct = {name: accuracy(answer, images, labels) for name, answer in sides.items()}
    network = f"{net.architecture['arch']} on {args.dataset}, {len(labels):,} images"
    table = HEAD + "".join(f"| {network} {line}\n" for line in lines(rates, correct))
    with open(OUT, "a", encoding="utf-8") as out:
        print(f"{date.today()}, {machine()}, batches of {args.batch_size}:\n\n{table}", file=out)
    print(table)


def exported(net, metadata, folder: Path, test, train) -> dict:
    """The functions from prepared images to probabilities of the network in each runtime."""
    sides = {}
    for name, (ending, load) in RUNTIMES.items():
        for int8 in (False, True):
            path = folder / f"{int8}{ending}"
            try:
                export_model(net, path, None, metadata, True, test, int8, train)
            except UserError as error:  # int8 is slower, or less accurate
                print(f"{name}: {error}")
                continue
            sides[f"{name} {'int8' if int8 else 'float32'}"] = load(path).probabilities
            if name == "OpenVINO":
                element = "int8 and bfloat16" if int8 else "bfloat16"
                sides[f"{name} {element}"] = load(path, "bf16").probabilities
    return sides


def by_turns(sides: dict, batch: np.ndarray, rounds: int, seconds: float) -> dict:
    """The images/s of each side in each round."""
    rates: dict[str, list[float]] = {name: [] for name in sides}
    for answer in sides.values():
        answer(batch)
    for _ in range(rounds):
        for name, answer in sides.items():
            count, start = 0, time.perf_counter()
            while (elapsed := time.perf_counter() - start) < seconds:
                answer(batch)
                count += len(batch)
            rates[name].append(count / elapsed)
    return rates


def accuracy(answer, images: np.ndarray, labels: np.ndarray) -> float:
    parts = np.array_split(images, 20)
    return float((np.concatenate([answer(part) for part in parts]).argmax(axis=1) == labels).mean())


def lines(rates: dict, correct: dict):
    """Yield the end of each row: side, accuracy, median images/s, and median ratio to float32."""
    for name, found in rates.items():
        base = next(rates[f"{each} float32"] for each in RUNTIMES if name.startswith(each))
        ratio = statistics.median(a / b for a, b in zip(found, base))
        yield f"| {name} | {correct[name]:.2%} | {statistics.median(found):,.0f} | {ratio:.2f} |"


if __name__ == "__main__":
    main()
