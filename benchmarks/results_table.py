"""The table of results, written from the folders of training runs.

    python -m benchmarks.results_table RUN...    measures these runs and writes the tables; with
                                                 --random where RUN began from random weights because
                                                 it named none and none could be downloaded
    python -m benchmarks.results_table           writes the tables from what was measured before

A run's config.json has its command, seed and data, its history.csv the epochs. The best weights are
measured on the test images if other images chose them. Where the test images chose the best
weights, the run counts with its last epoch, which nothing chose. results/results.jsonl keeps a line
for each run; README.md and docs/results.md have the tables between two comments.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shlex
import statistics
from pathlib import Path

from mindres.evaluation.interval import wilson

ROOT = Path(__file__).resolve().parents[1]
LINES = Path(__file__).resolve().parent / "results" / "results.jsonl"
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"
NETWORKS = {"lenet5": "LeNet-5", "convnet": "ConvNet"}
DATA = {
    "cifar10": "CIFAR-10 (JPEG)",
    "mnist": "MNIST",
    "fashion_mnist": "Fashion-MNIST",
    "digits": "Digits",
}
LEFT_OUT = ("--ckpt_dir", "--seed")  # flags of a command that are not part of what was trained


def measured(run: Path, random: bool = False) -> dict:
    """The line of a run: what was trained, how long, and its accuracy on test images."""
    from mindres.runs.config import read_config
    from mindres.runs.folder import RunFolder
    from mindres.runs.history import read_history

    folder = RunFolder(run)
    config, problem = read_config(folder.config)
    if problem:
        raise SystemExit(f"{folder.config} {problem}: name the --ckpt_dir of a training run")
    history = read_history(folder.history)
    found = best_on_test(folder.best) if config["split"] == "val" else last_on_test(config, history)
    names = ("arch", "dataset", "recipe", "pretrained", "seed", "images")
    command = typed(config["command"])
    return {
        "command": f"{command} --pretrained false" if random else command,
        **{name: config.get(name) for name in names},
        "pretrained": Path(config.get("pretrained") or "false").name,
        "epochs": int(history["epoch"][-1]),
        **found,
        "seconds": round(sum(history["seconds"]), 1),
        "fastest_epoch": round(min(history["seconds"]), 1),
        "started": config["started"][:10],
        "machine": machine(),
        "mindspore": config["environment"]["mindspore"],
    }


def best_on_test(checkpoint: Path) -> dict:
    """The accuracy of a checkpoint on the test images of its run."""
    import mindres
    from mindres.runs.images import open_images, use_of

    net, metadata = mindres.load_model(checkpoint)
    data = open_images(checkpoint, metadata, split="test").plain()
    assert use_of(data, checkpoint, metadata) == "judgement"
    result = mindres.evaluate(net, data, tta=bool(metadata.tta))
    return {
        "weights": f"of epoch {metadata.epoch}, the best on validation images",
        "right": int(result.confusion_matrix.trace()),
        "tested": result.num_images,
        "calibration_error": round(result.calibration_error, 5),
    }


def last_on_test(config: dict, history: dict) -> dict:
    """The accuracy of a run's last epoch, of which the test images chose nothing."""
    tested = config["images"]["test"]
    right = round(history["accuracy"][-1] * tested)
    return {"weights": "of the last epoch", "right": right, "tested": tested}


def typed(command: str) -> str:
    """A recorded command as one would type it, with DIR for the folder of the data set."""
    program, *words = shlex.split(command)
    for flag in LEFT_OUT:
        if flag in words:
            del words[words.index(flag) : words.index(flag) + 2]
    words = [word for word in words if word not in ("--resume", "--overwrite")]
    if "--dataset_path" in words:
        words[words.index("--dataset_path") + 1] = "DIR"
    words = [Path(word).name if word.startswith("/") else word for word in words]
    script = Path(program)
    example = script.parent.name == "examples" or program.startswith("examples/")
    return shlex.join(
        ["python", f"examples/{script.name}", *words] if example else ["mindres", *words]
    )


def machine() -> str:
    """The processor and the number of cores."""
    model, cpuinfo = platform.processor(), Path("/proc/cpuinfo")
    if cpuinfo.exists() and (found := re.search(r"model name\s*: (.*)", cpuinfo.read_text())):
        model = found[1]
    return f"{model}, {os.cpu_count()} cores"


def title(line: dict) -> str:
    """What was trained, in words."""
    name = NETWORKS.get(line["arch"], re.sub("resnet", "ResNet-", line["arch"]))
    epochs = f"{line['epochs']} epoch{'s'[: line['epochs'] != 1]}"
    start = "" if line["pretrained"] == "false" else f" from {line['pretrained']}"
    return f"{name} on {DATA[line['dataset']]}{start}, `{line['recipe']}`, {epochs}"


def minutes(seconds: float) -> str:
    """A duration, such as 13:54 or 18 s."""
    whole = round(seconds)
    return f"{whole} s" if whole < 60 else f"{whole // 60}:{whole % 60:02}"


def interval(right: float, tested: int, digits: int = 1) -> str:
    """The 95% interval of an accuracy, in words."""
    low, high = wilson(round(right), tested)
    return f"{low:.{digits}%} to {high:.{digits}%}"


def groups(lines: list[dict]) -> list[list[dict]]:
    """The lines of each command, whose seeds differ."""
    found: dict[str, list[dict]] = {}
    for line in lines:
        found.setdefault(line["command"], []).append(line)
    return [sorted(of_one, key=lambda line: line["seed"]) for of_one in found.values()]


def summary(lines: list[dict]) -> str:
    """The table of the README: a row for each command, with all its seeds."""
    rows = [
        "| what, and the command | test accuracy | 95% interval | time (if every epoch were the fastest) |",
        "| --- | --- | --- | --- |",
    ]
    for of_one in groups(lines):
        first = of_one[0]
        each = [line["right"] / line["tested"] for line in of_one]
        seeds = ", ".join(str(line["seed"]) for line in of_one)
        seeds = f"seed {seeds}" if len(of_one) == 1 else f"seeds {seeds}"
        mean = statistics.mean(line["right"] for line in of_one)
        times = [line["seconds"] for line in of_one]
        alone = min(line["fastest_epoch"] * line["epochs"] for line in of_one)
        cells = [
            f"{title(first)}, {seeds}: `{first['command']}`",
            ", ".join(f"{share:.2%}" for share in each),
            interval(mean, first["tested"]),
            " to ".join(dict.fromkeys(map(minutes, (min(times), max(times)))))
            + f" ({minutes(alone)})",
        ]
        rows.append(f"| {' | '.join(cells)} |")
    return "\n".join(rows)


def about(lines: list[dict]) -> str:
    """Where and how the lines were measured."""
    machines = "; ".join(dict.fromkeys(line["machine"] for line in lines))
    days = sorted({line["started"] for line in lines})
    return (
        "`python -m benchmarks.results_table` wrote this from the folders of the runs\n"
        f"({' to '.join(dict.fromkeys((days[0], days[-1])))}, {machines}, with other work on it). The interval\n"
        "is from the number of test images alone. The time is that of all epochs, with compilation and\n"
        "validation; beside it the README has the time if every epoch were the fastest, which the\n"
        "other work slowed down, too."
    )


def every_run(lines: list[dict]) -> str:
    """The table of docs/results.md: a row for each run."""
    rows = [
        "| what | seed | test accuracy | 95% interval | weights | calibration error | time | fastest epoch |",
        "| --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for line in (line for of_one in groups(lines) for line in of_one):
        error = line.get("calibration_error")
        cells = [
            title(line),
            line["seed"],
            f"{line['right'] / line['tested']:.2%} of {line['tested']:,}",
            interval(line["right"], line["tested"], 2),
            line["weights"],
            "" if error is None else f"{error:.2%}",
            minutes(line["seconds"]),
            minutes(line["fastest_epoch"]),
        ]
        rows.append(f"| {' | '.join(map(str, cells))} |")
    return "\n".join([*rows, "", about(lines)])


TABLES = {"README.md": summary, "docs/results.md": every_run}


def read() -> list[dict]:
    """What was measured."""
    return [json.loads(line) for line in LINES.read_text(encoding="utf-8").splitlines()]


def filled(text: str, block: str) -> str:
    """`text` with `block` between the two comments."""
    before, _, rest = text.partition(BEGIN)
    _, found, after = rest.partition(END)
    assert found, f"the page has no {BEGIN} and {END}"
    return f"{before}{BEGIN}\n{block}\n{END}{after}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("runs", nargs="*", type=Path, metavar="RUN", help="the --ckpt_dir of a run")
    parser.add_argument("--random", action="store_true", help="they began from random weights")
    args = parser.parse_args()
    lines = read() if LINES.exists() else []
    for run in args.runs:
        new = measured(run, args.random)
        same = [(line["command"], line["seed"]) == (new["command"], new["seed"]) for line in lines]
        lines = [line for line, replaced in zip(lines, same) if not replaced] + [new]
        print(json.dumps(new), flush=True)
    LINES.write_text("".join(json.dumps(line) + "\n" for line in lines), encoding="utf-8")
    for page, table in TABLES.items():
        path = ROOT / page
        path.write_text(filled(path.read_text(encoding="utf-8"), table(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
