"""Accuracy of `mindres.fit` in a budget of time against a dozen hand-made settings in the same.

    python -m benchmarks.grid --data DIR                 into benchmarks/results/grid.md
    python -m benchmarks.grid --data DIR --cases lenet5  the cases with this text in their names

DIR has CIFAR-10's and MNIST's files. The clock is the processor time of the process, so that other
work on the machine changes nothing. A hand-made setting has as many epochs as the budget leaves
after starting, and no range test. All twelve are tried with the first seed; the two that were best
on the test images go on with the other seeds, so that the best of the grid is a little too good.
What is measured is added to a file of JSON lines, from which the table is made.
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
from pathlib import Path

RESULTS = Path(__file__).resolve().parent / "results"
SEEDS, BEST, TEST_IMAGES = 3, 2, 4_000
ADAMW = {"optimizer": "adamw", "weight_decay": 0.01, "decay_all": False}
SGD = {"optimizer": "momentum", "weight_decay": 0.0005, "decay_all": False, "nesterov": True}
CYCLE = {"schedule": "onecycle", "min_lr": 0.0, "warmup": 0.25}
SMOOTH = {"label_smoothing": 0.1}
COSINE = {"schedule": "cosine", "min_lr": 0.0}
PUBLISHED = {
    **{
        f"classifier alone, AdamW {lr:g}": {**ADAMW, **CYCLE, "lr": lr, "freeze": "backbone"}
        for lr in (0.001, 0.003, 0.01)
    },
    **{
        f"after layer2, AdamW {lr:g}": {**ADAMW, **CYCLE, "lr": lr, "freeze": "layer2"}
        for lr in (0.0005, 0.002)
    },
    **{f"all, AdamW {lr:g}": {**ADAMW, **CYCLE, "lr": lr} for lr in (0.0002, 0.0005, 0.001, 0.003)},
    **{f"all, momentum {lr:g}": {**SGD, **CYCLE, "lr": lr} for lr in (0.005, 0.02, 0.05)},
}
RANDOM = {
    **{f"momentum {lr:g}, one cycle": {**SGD, **CYCLE, "lr": lr} for lr in (0.02, 0.05, 0.1, 0.2)},
    **{f"momentum {lr:g}, cosine": {**SGD, **COSINE, "lr": lr} for lr in (0.01, 0.05)},
    **{f"AdamW {lr:g}, one cycle": {**ADAMW, **CYCLE, "lr": lr} for lr in (0.0005, 0.001, 0.003)},
    "AdamW 0.003, one cycle, label smoothing": {**ADAMW, **CYCLE, **SMOOTH, "lr": 0.003},
    **{
        f"Adam {lr:g}, constant": {"optimizer": "adam", "schedule": "constant", "lr": lr}
        for lr in (0.001, 0.003)
    },
}


@dataclass(frozen=True)
class Case:
    """A row of the table: so many images of a data set, a network, its weights, and a budget.

    seconds: of processor time, for everything from images that are open to the last measurement.
    """

    data: str
    images: int
    network: str
    published: bool
    seconds: int

    def __str__(self) -> str:
        weights = "published" if self.published else "random"
        return f"{self.data}, {self.images:,} images, {self.network}, {weights} weights"


CASES = [
    Case("digits", 500, "lenet5", False, 15),
    Case("mnist", 500, "lenet5", False, 15),
    Case("cifar10", 500, "resnet20", True, 30),
    Case("mnist", 5_000, "lenet5", False, 15),
    Case("mnist", 500, "resnet20", True, 30),
    Case("cifar10", 500, "lenet5", False, 15),
    Case("cifar10", 5_000, "resnet20", True, 50),
    Case("cifar10", 5_000, "lenet5", False, 30),
    Case("mnist", 5_000, "resnet20", True, 50),
    Case("digits", 500, "resnet20", True, 30),
]


class Trainings:
    """The trainings of a case with one seed, all on the same images."""

    def __init__(self, case: Case, folder: str, weights: str, seed: int):
        from benchmarks.subsets import divided, stratified, subset
        from mindres.data import create_dataset

        self.case, self.seed = case, seed
        self.weights = weights if case.published else "false"
        options = {"batch_size": 32, "resize": 32}
        if case.data == "mnist":
            options["channels"] = 3 if case.published else 1
        train, test = (
            create_dataset(case.data, folder, split, **options) for split in ("train", "test")
        )
        chosen = stratified(train.labels(), case.images, seed)
        self.parts = divided(train, train.plain(), chosen, seed)
        self.test = subset(test, stratified(test.labels(), TEST_IMAGES, 0))
        self.shortcut = {"shortcut": "A"} if case.published else {}  # akamaster's

    def planned(self) -> tuple[dict, int]:
        """What `mindres.fit` does, and how many epochs a hand-made setting may have."""
        import mindres
        from mindres.training import budget, plan

        found = []
        measure = plan.range_test
        plan.range_test = lambda *args: found.append(measure(*args)) or found[-1]
        started = time.monotonic()
        with tempfile.TemporaryDirectory() as folder:
            run = mindres.fit(
                self.parts[0],
                minutes=self.case.seconds / 60,
                val_data=self.parts[1],
                test_data=self.test,
                arch=self.case.network,
                pretrained=self.weights,
                ckpt_dir=folder,
                seed=self.seed,
                **self.shortcut,
            )
            config = json.loads((Path(folder) / "config.json").read_text())
        plan.range_test = measure
        seconds = time.monotonic() - started
        left = budget.Budget(run.net, found[0], *self.parts, len(self.test), self.case.seconds)
        left.left += found[0].step_seconds * len(found[0].losses)
        fields = ("freeze", "optimizer", "lr", "epochs", "ema", "patience")
        one = {"setting": "mindres.fit", "chose": {name: config[name] for name in fields}}
        return {**one, **self._accuracy(run.net), "seconds": seconds}, max(1, left.epochs())

    def by_hand(self, name: str, setting: dict, epochs: int) -> dict:
        """A training by one of the settings."""
        import mindres

        mindres.set_seed(self.seed)
        channels = self.parts[0].channels
        net = mindres.create_model(
            self.case.network, num_classes=10, in_channels=channels, **self.shortcut
        )
        if self.case.published:
            mindres.load_weights(net, self.weights)
        started = time.monotonic()
        epochs = 30 if setting.get("freeze") == "backbone" else min(epochs, 200)
        with tempfile.TemporaryDirectory() as folder:
            history = mindres.train(net, *self.parts, ckpt_dir=folder, epochs=epochs, **setting)
            mindres.load_weights(net, history.best_ckpt_path)
        one = {"setting": name, "epochs": epochs, "seconds": time.monotonic() - started}
        return {**one, **self._accuracy(net)}

    def _accuracy(self, net) -> dict:
        import mindres

        return {"accuracy": mindres.evaluate(net, self.test).accuracy}


def measure(case: Case, folder: str, weights: str, note) -> None:
    """Do the trainings of a case; `note` takes each as a dict."""
    settings = PUBLISHED if case.published else RANDOM
    for seed in range(SEEDS):
        trainings = Trainings(case, folder, weights, seed)
        with contextlib.redirect_stdout(io.StringIO()):
            one, epochs = trainings.planned()
        note({"case": str(case), "budget": case.seconds, "seed": seed, **one})
        done = {}
        for name, setting in settings.items():
            with contextlib.redirect_stdout(io.StringIO()):
                done[name] = trainings.by_hand(name, setting, epochs)
            note({"case": str(case), "budget": case.seconds, "seed": seed, **done[name]})
        best = sorted(done, key=lambda name: -done[name]["accuracy"])[:BEST]
        settings = {name: settings[name] for name in best} if seed == 0 else settings


def page(lines: list[dict]) -> str:
    """The table, as Markdown, of all that was measured."""
    rows = []
    for case in dict.fromkeys(line["case"] for line in lines):
        of_case: dict[str, list[float]] = {}
        seconds = []
        for line in (line for line in lines if line["case"] == case):
            if line["seed"] in _whole_seeds(lines, case):
                of_case.setdefault(line["setting"], []).append(line["accuracy"])
                if line["setting"] == "mindres.fit":
                    seconds.append(line["seconds"] / line["budget"])
        if not of_case:
            continue
        fit = of_case.pop("mindres.fit")
        whole = {name: found for name, found in of_case.items() if len(found) == len(fit)}
        best = max(whole, key=lambda name: statistics.mean(whole[name]))
        alone = [found[0] for name, found in of_case.items() if name.startswith("classifier")]
        difference = statistics.mean(fit) - statistics.mean(whole[best])
        rows.append(
            f"| {case} | {len(fit)} | {_cell(fit)} | {_cell(whole[best])}: {best} | {100 * difference:+.1f} | "
            f"{f'{max(alone):.1%}' if alone else ''} | {max(seconds):.0%} |"
        )
    head = (
        "| case | seeds | mindres.fit | best by hand | difference, points | classifier alone, seed 0 | "
        "of the budget, at most |\n| --- | --- | --- | --- | --- | --- | --- |"
    )
    return HEAD + head + "\n" + "\n".join(rows) + "\n"


def _whole_seeds(lines: list[dict], case: str) -> set[int]:
    """The seeds of which all trainings are there."""
    wanted = {0: 1 + len(PUBLISHED), **{seed: 1 + BEST for seed in range(1, SEEDS)}}
    done = [line["seed"] for line in lines if line["case"] == case]
    return {seed for seed in set(done) if done.count(seed) >= wanted[seed]}


HEAD = f"""# A plan against a grid

`python -m benchmarks.grid --data DIR`, on CPU. Accuracy on at most {TEST_IMAGES:,} test images, mean and
range over the seeds; the best of twelve hand-made settings in the same budget of processor time.
The CIFAR-10 is the one after a pass through JPEG; the published weights of ResNet-20 were trained
on CIFAR-10, these images included. `grid.jsonl` has every training.

"""


def _cell(values: list[float]) -> str:
    return f"{statistics.mean(values):.1%} ({min(values):.1%} to {max(values):.1%})"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", required=True, help="folder of CIFAR-10's and MNIST's files")
    parser.add_argument("--weights", default="akamaster", help="ResNet-20's, shortcut A")
    parser.add_argument("--cases", default="", help="those with this text in their names")
    parser.add_argument("--out", type=Path, default=RESULTS / "grid.jsonl")
    args = parser.parse_args()
    time.monotonic = time.process_time

    def note(line: dict) -> None:
        print(json.dumps(line), flush=True)
        with args.out.open("a") as file:
            file.write(json.dumps(line) + "\n")

    for case in CASES:
        if args.cases in str(case):
            measure(case, args.data, args.weights, note)
        lines = [json.loads(line) for line in args.out.read_text().splitlines()]
        args.out.with_suffix(".md").write_text(page(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
