"""The images of a run: found again from its checkpoint and the config.json beside it."""

from __future__ import annotations

from pathlib import Path

from mindres.data.build import checked_name, name_of
from mindres.evaluation.trained_data import open_data
from mindres.runs.config import read_config
from mindres.runs.folder import RunFolder
from mindres.weights.metadata import Metadata

DEFAULT_PATH = "./datasets"
# What a run did with images, in words.
USES = {
    "training": "used to train the network",
    "selection": "used to select this checkpoint",
    "judgement": "which neither trained the network nor selected this checkpoint",
}


def open_images(
    checkpoint, metadata, dataset=None, path=None, split="test", validation_fraction=None, **options
):
    """Images of the data set that a checkpoint was trained on, or of another one.

    Args:
        checkpoint: the file; the config.json beside it counts where it is of the same run.
        metadata: as `load_model` returns it.
        dataset: one of `mindres.data.DATASETS`; None for the one that the checkpoint notes.
        path: the data set's folder; None for the run's, else `./datasets`.
        split: "test", "val", "train", or of a folder "all".
        validation_fraction: the part of the training images that is "val"; None for the run's.
        options: of the data set, such as `batch_size`.

    Raises:
        UserError: as for `open_data`.
    """
    noted = settings(checkpoint, metadata, dataset)
    if path is None:
        path = noted.get("dataset_path") or DEFAULT_PATH
    if validation_fraction is None:
        validation_fraction = noted.get("validation_fraction")
    if validation_fraction is not None:
        options["validation_fraction"] = validation_fraction
    return open_data(metadata, dataset, path, split, **options)


def settings(checkpoint, metadata, dataset=None) -> dict:
    """What the run of a checkpoint noted of its data set, under the names of the flags.

    Empty where no config.json of the same run lies beside the checkpoint, or where it is on another
    data set than `dataset`.
    """
    metadata = Metadata.of(metadata)
    config, _ = read_config(RunFolder(Path(checkpoint).parent).config)
    if not metadata.run or config.get("run") != metadata.run:
        return {}
    if dataset and config.get("dataset") not in (None, checked_name(dataset)):
        return {}
    kinds: dict = {
        "dataset_path": str,
        "validation_fraction": (int, float),
        "split": str,
        "images": dict,
    }
    return {
        name: config[name] for name, kind in kinds.items() if isinstance(config.get(name), kind)
    }


def use_of(data, checkpoint, metadata) -> str:
    """What the run of a checkpoint did with these images: a key of `USES`, or "".

    The best checkpoint is selected by validation images, and where a run has none, by test images;
    test images that selected nothing judge it. "" stands for other images, and for a run of which
    nothing is known.
    """
    noted = settings(checkpoint, metadata, name_of(data))
    path = noted.get("dataset_path")
    if not noted or (path and data.path and Path(path).resolve() != data.path.resolve()):
        return ""
    if data.split == "train":
        return "training"
    if data.split in ("val", noted.get("split")):
        return "selection"
    return "judgement" if data.split == "test" and noted.get("split") == "val" else ""


def selected_by(checkpoint, metadata) -> str:
    """Which images selected a checkpoint, in words; "" where that is not known."""
    noted = settings(checkpoint, metadata)
    split = noted.get("split")
    count = noted.get("images", {}).get(split)
    return f"{count:,} {split} images selected it" if isinstance(count, int) else ""


def trained_on(checkpoint, metadata, classes) -> list[int] | None:
    """How many images of each class a run trained on; None where that is not known."""
    counts = settings(checkpoint, metadata).get("images", {}).get("train_of_each_class")
    fits = isinstance(counts, list) and len(counts) == len(classes)
    return counts if fits and all(isinstance(count, int) for count in counts) else None


def described(data, use) -> str:
    """Which images these are, in words."""
    split = "" if data.split == "all" else f" {data.split}"
    told = f"{len(data):,}{split} images of {data.name}"
    return f"{told}, {USES[use]}" if use else told
