"""Puts the best weights of a run into the package, and writes their card.

    python -m benchmarks.publish RUN    of a run that benchmarks.results_table has measured

The file goes into mindres/weights/files, in float16, with what using the weights takes and the
first digits of its digest in its name; the card goes into ckpt/. The accuracy is measured again
with the file itself. What is printed at the end goes into the row of the network.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from benchmarks import results_table
from benchmarks.results_table import DATA, NETWORKS, ROOT, interval, minutes

FILES, CARDS = ROOT / "mindres" / "weights" / "files", ROOT / "ckpt"
# Entries of the metadata beside those that the network cannot be used without.
KEPT = ("split_rule", "held_out", "likeness", "epoch", "metric_name", "metric", "tta")
IMAGES = {
    "cifar10": "CIFAR-10, the 60,000 images after a pass through JPEG",
    "mnist": "MNIST, as published",
}
LIMITS = {
    "cifar10": """It knows ten classes, at 32x32 pixels, and gives every image one of them; `mindres predict
--none_of_these` marks what is unlike all of them. Its images were compressed as JPEG: on the
published pixels its accuracy has not been measured. It was trained for few epochs; weights of
others that were trained for hundreds (`mindres models`) are better.""",
    "mnist": """It knows handwritten digits as in MNIST, white on black, centred, 28x28 pixels, and gives every
image one of ten classes. Dark digits on white paper must be inverted first.""",
}


def half(path: Path):
    """The weights of a checkpoint in float16, and what is recorded with them."""
    from mindres.weights.formats import read_checkpoint
    from mindres.weights.metadata import Metadata

    arrays, metadata = read_checkpoint(path)
    arrays = {name: value.astype(np.float16) for name, value in arrays.items()}
    kept = {name: metadata[name] for name in KEPT if name in metadata}
    return arrays, Metadata.of({**metadata.for_use(), **kept})


def write(checkpoint: Path, stem: str) -> Path:
    """Write the file of the package, in the place of an earlier one."""
    from mindres.checksums import digest
    from mindres.weights.formats import write_checkpoint

    FILES.mkdir(exist_ok=True)
    for earlier in FILES.glob(f"{stem}-*"):
        earlier.unlink()
    arrays, metadata = half(checkpoint)
    path = write_checkpoint(arrays, FILES / f"{stem}.safetensors", metadata)
    return path.rename(FILES / f"{stem}-{digest(path, 'sha256')[:8]}.safetensors")


def accuracies(path: Path, checkpoint: Path) -> dict:
    """Evaluations on the test images: of the file with and without mirror images, of float32."""
    import mindres
    from mindres.runs.images import open_images

    metadata = mindres.load_model(checkpoint)[1]
    data = open_images(checkpoint, metadata, split="test").plain()
    tta = bool(metadata.tta)
    own = mindres.load_model(path)[0]
    found = {"float16": mindres.evaluate(own, data, tta=tta)}
    if tta:
        found["one view"] = mindres.evaluate(own, data)
    found["float32"] = mindres.evaluate(mindres.load_model(checkpoint)[0], data, tta=tta)
    return found


def card(line: dict, path: Path, found: dict, config: dict) -> str:
    """The card of a file, as Markdown."""
    from mindres.evaluation.confidence import calibration_error

    arch, data = line["arch"], line["dataset"]
    name = NETWORKS.get(arch, arch.replace("resnet", "ResNet-"))
    result = found["float16"]
    right = int(result.confusion_matrix.trace())
    tested = interval(right, result.num_images, 2)
    views = ""
    if "one view" in found:
        views = "mean over each image and its mirror image; "
        views += f"one view {found['one view'].accuracy:.2%}; "
    images = line["images"]
    fields = ("optimizer", "schedule", "lr", "warmup", "momentum", "weight_decay", "batch_size")
    recipe = ", ".join(f"{field} {config[field]}" for field in fields)
    plain = result.without_temperature().max(axis=1)
    before = calibration_error(plain, result.predicted == result.labels)
    rows = {
        "network": f"`{arch}`: {path.stat().st_size:,} bytes, float16",
        "data": f"{IMAGES[data]}: {images['train']:,} images trained it, {images['val']:,} chose the epoch, "
        f"{result.num_images:,} tested it",
        "classes": ", ".join(result.classes),
        "recipe": f"`{line['recipe']}`, {line['epochs']} epochs: {recipe}",
        "command": f"`{line['command']} --seed {line['seed']}`",
        "seed": line["seed"],
        "test accuracy": f"{result.accuracy:.2%} (95% interval {tested}); {views}"
        f"in float32 {found['float32'].accuracy:.2%}",
        "calibration": f"expected error of the probabilities {result.calibration_error:.2%} with the "
        f"temperature {result.temperature:.2f} from the validation images, {before:.2%} without",
        "time": f"{minutes(line['seconds'])}, fastest epoch {minutes(line['fastest_epoch'])}, on "
        f"{line['machine']}, with other work on it",
    }
    lines = [
        f"# {name} on {DATA[data]}",
        "",
        f'`mindres.{arch}(pretrained="mindres")`, the file `mindres/weights/files/{path.name}`.',
        "",
        "| | |",
        "| --- | --- |",
        *(f"| {what} | {said} |" for what, said in rows.items()),
        "",
        "## Limits",
        "",
        LIMITS[data],
        "",
    ]
    return "\n".join(lines)


def main() -> None:
    from mindres.runs.config import read_config
    from mindres.runs.folder import RunFolder

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("run", type=Path, metavar="RUN", help="the --ckpt_dir of a run")
    folder = RunFolder(parser.parse_args().run)
    config, _ = read_config(folder.config)
    command = results_table.typed(config["command"])
    commands = (command, f"{command} --pretrained false")
    [line] = [
        line
        for line in results_table.read()
        if line["command"] in commands and line["seed"] == config["seed"]
    ]
    stem = f"{line['arch']}_{line['dataset']}"
    path = write(folder.best, stem)
    found = accuracies(path, folder.best)
    (CARDS / f"{stem}.md").write_text(card(line, path, found, config), encoding="utf-8")
    print(f'mindres=("{path.stem}", {found["float16"].accuracy:.4f})')


if __name__ == "__main__":
    main()
