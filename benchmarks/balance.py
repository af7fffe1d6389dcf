"""Balanced accuracy of each --balance on long-tailed CIFAR-10, 1:100.

    python -m benchmarks.balance --cifar10 DIR                 into benchmarks/results/balance.md
    python -m benchmarks.balance --cifar10 DIR --weights FILE  with ResNet-20's published weights

The classes shrink geometrically from 2,000 training images to 20. 15% of these images choose the
best epoch by balanced accuracy, which is then measured on 4,000 test images in classes of equal
size. A seed decides the choice of images, the initial weights and the order. Results are added to a
file of JSON lines, from which the table is made.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import statistics
import tempfile
import time
from datetime import date
from pathlib import Path

OUT = Path(__file__).resolve().parent / "results" / "balance.jsonl"
WAYS = ("none", "sample", "weight")
LARGEST, RATIO, SEEDS = 2_000, 100, 3
TEST_IMAGES = 4_000
ONE_CYCLE = {"schedule": "onecycle", "min_lr": 0.0, "warmup": 0.25, "label_smoothing": 0.1}
ADAMW = {"optimizer": "adamw", "weight_decay": 0.01, "decay_all": False}
CASES = {
    "classifier alone, published ResNet-20": {
        "pretrained": True, "freeze": "backbone", "epochs": 20, "lr": 0.003, **ADAMW,
    },
    "all of LeNet-5, random weights, 10 epochs": {
        "pretrained": False, "epochs": 10, "lr": 0.003, "arch": "lenet5", **ADAMW,
    },
    "all of ResNet-20, published weights, 2 epochs": {
        "pretrained": True, "epochs": 2, "lr": 0.0005, **ADAMW,
    },
    "all of ResNet-20, random weights, 8 epochs": {
        "pretrained": False, "epochs": 8, "lr": 0.1, "recipe": "fast", "tta": False,
    },
}  # fmt: skip


def measured(data: tuple, case: dict, balance: str, seed: int, weights: str) -> dict:
    """The accuracy of a run on test images, and its processor time."""
    import mindres

    train_data, val_data, test_data = data
    case = dict(case)
    pretrained = case.pop("pretrained")
    mindres.set_seed(seed)
    shortcut = {} if "arch" in case else {"shortcut": "A"}  # whose weights are akamaster's
    net = mindres.create_model(
        case.pop("arch", "resnet20"), num_classes=10, in_channels=3, **shortcut
    )
    if pretrained:
        mindres.load_weights(net, weights)
        mindres.reset_head(net, 10)
    started = time.process_time()
    options = {"recipe": "tutorial", **ONE_CYCLE, **case, "balance": balance}
    with tempfile.TemporaryDirectory() as folder:
        history = mindres.train(
            net, train_data, val_data, select="balanced_accuracy", ckpt_dir=folder, **options
        )
        mindres.load_weights(net, history.best_ckpt_path)
    result = mindres.evaluate(net, test_data)
    return {"accuracy": result.accuracy, "cpu": time.process_time() - started}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cifar10", required=True, help="folder of CIFAR-10's files")
    parser.add_argument("--weights", default="akamaster", help="ResNet-20's, shortcut A")
    parser.add_argument("--cases", default="", help="those with this text in their names")
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    import mindres
    from benchmarks.subsets import divided, long_tailed, stratified, subset
    from mindres.data import Cifar10

    mindres.set_device("CPU")
    opened = [Cifar10(args.cifar10, split=split, batch_size=128) for split in ("train", "test")]
    plain = opened[0].plain()
    test = subset(opened[1], stratified(opened[1].labels(), TEST_IMAGES, 0))
    for name, case in CASES.items():
        for seed in range(SEEDS):
            chosen = long_tailed(opened[0].labels(), LARGEST, RATIO, seed)
            data = (*divided(opened[0], plain, chosen, seed), test)
            for balance in WAYS if args.cases in name else ():
                with contextlib.redirect_stdout(io.StringIO()):
                    one = measured(data, case, balance, seed, args.weights)
                line = json.dumps({"case": name, "balance": balance, "seed": seed, **one})
                print(line, flush=True)
                with args.out.open("a") as file:
                    file.write(line + "\n")
    lines = [json.loads(line) for line in args.out.read_text().splitlines()]
    args.out.with_suffix(".md").write_text(page(lines), encoding="utf-8")


def page(measured: list[dict]) -> str:
    """The table of all results as Markdown."""
    found: dict = {}
    for line in measured:
        found.setdefault((line["case"], line["balance"]), []).append(line["accuracy"])
    lines = [
        "# Classes of few images: long-tailed CIFAR-10, 1:100",
        "",
        f"`python -m benchmarks.balance --cifar10 DIR`, {date.today()}, on CPU. {LARGEST:,} training",
        f"images of the first class, {LARGEST // RATIO} of the last, less 15% that choose the epoch.",
        f"Accuracy on {TEST_IMAGES:,} test images, whose classes are of one size: mean and range over",
        f"{SEEDS} seeds. The published weights were trained on all of CIFAR-10, the rare classes",
        "included, so that their rows say how the classifier takes to balancing, and not how well a",
        "rare class is learnt. The images are CIFAR-10's after a pass through JPEG.",
        "",
        f"| what is trained | {' | '.join(WAYS)} |",
        "| --- " * (1 + len(WAYS)) + "|",
    ]
    for name in dict.fromkeys(name for name, _ in found):
        cells = [_cell(found[name, way]) for way in WAYS]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def _cell(values: list[float]) -> str:
    return f"{statistics.mean(values):.1%} ({min(values):.1%} to {max(values):.1%})"


if __name__ == "__main__":
    main()
