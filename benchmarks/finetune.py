"""Fine-tuning ResNet-20 from published weights against random ones, for the same epochs.

    python -m benchmarks.finetune --data DIR --weights FILE     into benchmarks/results/finetune.md

DIR has CIFAR-10's and MNIST's files, FILE is akamaster's ResNet-20 (shortcut A). For each case both
sides try their settings with the first seed; the one with the best validation accuracy goes on with
the other seeds. Test images choose nothing. The clock is the processor time of the process. Each
training is a line of a file, from which the table is made; what is there already is not done again.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from dataclasses import dataclass
from datetime import date
from pathlib import Path

OUT = Path(__file__).resolve().parent / "results" / "finetune.jsonl"
SEEDS, TEST_IMAGES = 2, 4_000
ADAMW = {"optimizer": "adamw", "weight_decay": 0.01, "decay_all": False, "nesterov": False}
# Further values of the recipe `fast`: one cycle.
SETTINGS = {
    "published": {"AdamW 0.001": {**ADAMW, "lr": 0.001}, "momentum 0.02": {"lr": 0.02}},
    "random": {"AdamW 0.003": {**ADAMW, "lr": 0.003}, "momentum 0.05": {"lr": 0.05}},
}


@dataclass(frozen=True)
class Case:
    """A row of the table: images for training and validation, and epochs."""

    data: str
    images: int
    epochs: int

    def __str__(self) -> str:
        return f"{self.data}, {self.images:,} images, {self.epochs} epochs"


CASES = [Case("cifar10", 500, 20), Case("mnist", 500, 20), Case("digits", 1_437, 8)]


def images(case: Case, folder: str, seed: int) -> tuple:
    """The training, validation and test images of a case."""
    from benchmarks.subsets import divided, stratified, subset
    from mindres.data import create_dataset

    channels = {"channels": 3} if case.data == "mnist" else {}
    options = {"batch_size": 32, "resize": 32, **channels}
    train, test = (
        create_dataset(case.data, folder, split, **options) for split in ("train", "test")
    )
    parts = divided(train, train.plain(), stratified(train.labels(), case.images, seed), seed)
    return *parts, subset(test, stratified(test.labels(), TEST_IMAGES, 0))


def trained(case: Case, parts: tuple, weights: str | None, setting: dict, seed: int) -> dict:
    """A training: the accuracy of its best weights on validation and test images, and its cost."""
    import mindres

    mindres.set_seed(seed)
    net = mindres.resnet20(10, shortcut="A", pretrained=weights or False)
    if case.data != "cifar10":  # whose classes the published classifier knows
        mindres.reset_head(net, 10)
    tta = {"tta": case.data == "cifar10"}  # a mirrored digit is another sign
    started = time.process_time()
    with contextlib.redirect_stdout(io.StringIO()), tempfile.TemporaryDirectory() as run:
        history = mindres.train(
            net,
            *parts[:2],
            recipe="fast",
            batch_size=32,
            epochs=case.epochs,
            ckpt_dir=run,
            **tta,
            **setting,
        )
        mindres.load_weights(net, history.best_ckpt_path)
    seconds = time.process_time() - started
    result = mindres.evaluate(net, parts[2], **tta)
    return {"val": history.best, "accuracy": result.accuracy, "seconds": round(seconds, 1)}


def before(parts: tuple, weights: str) -> float:
    """The accuracy of the published weights as they are."""
    import mindres

    net = mindres.resnet20(10, shortcut="A", pretrained=weights)
    return mindres.evaluate(net, parts[2], tta=True).accuracy


def of(lines: list[dict], case: Case | str, side: str) -> list[dict]:
    """The lines of one side of a case."""
    return [line for line in lines if (line["case"], line["weights"]) == (str(case), side)]


def measure(case: Case, side: str, args, lines: list[dict]):
    """Yield the trainings of one side of a case that are not among `lines`."""
    weights = args.weights if side == "published" else None
    for seed in range(args.seeds):
        parts = images(case, args.data, seed)
        names = SETTINGS[side]
        if seed:
            names = [max(first_seed(lines, case, side), key=lambda line: line["val"])["setting"]]
        elif side == "published" and case.data == "cifar10" and not of(lines, case, "as they are"):
            accuracy = before(parts, args.weights)
            yield {"weights": "as they are", "seed": 0, "accuracy": accuracy}
        for name in names:
            if (name, seed) in [(line["setting"], line["seed"]) for line in of(lines, case, side)]:
                continue
            one = trained(case, parts, weights, SETTINGS[side][name], seed)
            yield {"weights": side, "setting": name, "seed": seed, **one}


def first_seed(lines: list[dict], case: Case | str, side: str) -> list[dict]:
    """The lines of the first seed, whose best goes on."""
    return [line for line in of(lines, case, side) if line["seed"] == 0]


def page(lines: list[dict]) -> str:
    """The table of all results as Markdown."""
    rows = [
        "# Fine-tuning from published weights",
        "",
        f"`python -m benchmarks.finetune --data DIR --weights FILE`, {date.today()}, on CPU: ResNet-20 with",
        "akamaster's weights, which were trained on the published pixels of CIFAR-10, and from random",
        "weights, for the same epochs. 15% of the images choose the epoch and the setting, by the first",
        f"seed. Accuracy on at most {TEST_IMAGES:,} test images: mean and range over the seeds. The CIFAR-10",
        "here is the one after a pass through JPEG; the published weights have seen its training images",
        "without that.",
        "",
        "| case | seeds | published weights | random weights | difference, points | as they are |",
        "| --- | --- | --- | --- | --- | --- |",
    ]
    for case in dict.fromkeys(line["case"] for line in lines):
        ways = [chosen(lines, case, side) for side in SETTINGS]
        if all(ways):
            rows.append(row(case, *ways, of(lines, case, "as they are")))
    return "\n".join([*rows, ""])


def row(case: str, published: list[dict], random: list[dict], as_they_are: list[dict]) -> str:
    """A row of the table."""
    means = [statistics.mean(line["accuracy"] for line in way) for way in (published, random)]
    untouched = f"{as_they_are[0]['accuracy']:.1%}" if as_they_are else ""
    difference = f"{100 * (means[0] - means[1]):+.1f}"
    cells = [case, len(published), cell(published), cell(random), difference, untouched]
    return f"| {' | '.join(map(str, cells))} |"


def chosen(lines: list[dict], case: str, side: str) -> list[dict]:
    """The lines of the setting that was the best on validation images with the first seed."""
    first = first_seed(lines, case, side)
    best = max(first, key=lambda line: line["val"], default={"setting": None})["setting"]
    return [line for line in of(lines, case, side) if line["setting"] == best]


def cell(way: list[dict]) -> str:
    """The accuracies of one side, in words."""
    values = [line["accuracy"] for line in way]
    shown = f"{statistics.mean(values):.1%}"
    if len(values) > 1:
        shown += f" ({min(values):.1%} to {max(values):.1%})"
    seconds = statistics.mean(line["seconds"] for line in way)
    return f"{shown}, {way[0]['setting']}, {seconds:.0f} s of processor time"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of CIFAR-10's and MNIST's files")
    parser.add_argument("--weights", required=True, help="akamaster's resnet20-12fca82f.th")
    parser.add_argument("--cases", default="", help="those with this text in their names")
    parser.add_argument("--seeds", type=int, default=SEEDS)
    args = parser.parse_args()
    lines = [json.loads(line) for line in OUT.read_text().splitlines()] if OUT.exists() else []
    for case in (case for case in CASES if args.cases in str(case)):
        for side in SETTINGS:
            for one in measure(case, side, args, lines):
                lines.append({"case": str(case), **one})
                print(json.dumps(lines[-1]), flush=True)
                with OUT.open("a") as file:
                    file.write(json.dumps(lines[-1]) + "\n")
    OUT.with_suffix(".md").write_text(page(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
