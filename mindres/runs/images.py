"""Opens the images of a run again, from its checkpoint and the config.json beside it."""

from __future__ import annotations

from pathlib import Path

from mindres.data.build import checked_name, name_of
from mindres.evaluation.trained_data import open_data
from mindres.runs.config import read_config
from mindres.runs.folder import RunFolder
from mindres.weights.metadata import Metadata

DEFAULT_PATH = "./datasets"
# How a run used images, for messages.
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
        checkpoint: the file; the config.json beside it is used if it is of the same run.
        metadata: as `load_model` returns it.
        dataset: one of `mindres.data.DATASETS`; None for the one that the checkpoint records.
        path: the data set's folder; None for the run's, else `./datasets`.
        split: "test", "val", "train", or for a folder "all".
        validation_fraction: the fraction of the training images in "val"; None for the run's.
        options: options of the data set, such as `batch_size`.

    Raises:
        UserError: as for `open_data`.
    """
    recorded = settings(checkpoint, metadata, dataset)
    if path is None:
        path = recorded.get("dataset_path") or DEFAULT_PATH
    if validation_fraction is None:
        validation_fraction = recorded.get("validation_fraction")
    if validation_fraction is not None:
        options["validation_fraction"] = validation_fraction
    return open_data(metadata, dataset, path, split, **options)


def settings(checkpoint, metadata, dataset=None) -> dict:
    """The data settings of a checkpoint's run, under the names of the flags.

    They are empty if there is no config.json of the same run beside the checkpoint, or if the run
    was on another data set than `dataset`.
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
    """How the run of a checkpoint used these images: a key of `USES`, or "".

    Validation images select the best checkpoint, or test images if there are no validation images.
    Test images that did not select it judge it. "" stands for other images and for unknown runs.
    """
    recorded = settings(checkpoint, metadata, name_of(data))
    path = recorded.get("dataset_path")
    if not recorded or (path and data.path and Path(path).resolve() != data.path.resolve()):
        return ""
    if data.split == "train":
        return "training"
    if data.split in ("val", recorded.get("split")):
        return "selection"
    return "judgement" if data.split == "test" and recorded.get("split") == "val" else ""


def selected_by(checkpoint, metadata) -> str:
    """Which images selected a checkpoint, in words; "" if that is not known."""
    recorded = settings(checkpoint, metadata)
    split = recorded.get("split")
    count = recorded.get("images", {}).get(split)
    return f"{count:,} {split} images selected it" if isinstance(count, int) else ""


def trained_on(checkpoint, metadata, classes) -> list[int] | None:
    """How many images of each class a run trained on; None if that is not known."""
    counts = settings(checkpoint, metadata).get("images", {}).get("train_of_each_class")
    fits = isinstance(counts, list) and len(counts) == len(classes)
    return counts if fits and all(isinstance(count, int) for count in counts) else None


def described(data, use) -> str:
    """A description of the images, with their `use` of `use_of`."""
    split = "" if data.split == "all" else f" {data.split}"
    images = f"{len(data):,}{split} images of {data.name}"
    return f"{images}, {USES[use]}" if use else images
