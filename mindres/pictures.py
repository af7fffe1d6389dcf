"""Every picture by its name: from datasets, networks and runs to the figure that `mindres.plots` makes of them."""

from __future__ import annotations

import copy
import csv
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mindspore.dataset import vision

from mindres import inspection, plots
from mindres.errors import UserError
from mindres.evaluation import Evaluation, pick
from mindres.pipeline import AUTO_AUGMENT
from mindres.prediction import predict, preprocess, read_image

# What a step of augmentation is called above its column; others have their class's name.
STEPS = {"RandomHorizontalFlip": "flipped", "RandomCrop": "cropped", "RandomResizedCrop": "cropped, resized"}

# Of a run's history; the first four it must have.
COLUMNS = ("epoch", "loss", "accuracy", "lr", "images_per_second", "seconds")


@dataclass
class Samples:
    """A few images: as a network is fed them (N, C, H, W), to look at (N, H, W, 3), and their labels (N,) or None."""

    inputs: np.ndarray
    shown: np.ndarray
    labels: np.ndarray | None
    classes: list[str]

    @property
    def names(self) -> list[str] | None:
        return None if self.labels is None else [self.classes[label] for label in self.labels]


def labels_of(data) -> np.ndarray:
    """The labels of the images in the split of an `ImageDataset`."""
    indices = data.indices()
    return data.labels() if indices is None else data.labels()[indices]


def samples(data, count=24) -> Samples:
    """`count` images of an `ImageDataset`, drawn at random from its split as `mindres.set_seed` says."""
    some = copy.copy(data)
    some.shuffle, some.batch_size = True, min(count, len(labels_of(data)))
    images, labels = next(some.run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    if labels.ndim == 2:
        labels = labels.argmax(axis=1)  # mixed by mixup or CutMix: the larger share
    return Samples(images, plots.denormalize(images, data.mean, data.std), labels, list(data.classes))


def samples_from_files(paths, metadata, classes) -> Samples:
    """Image files, as the network of a checkpoint with this `metadata` is fed them; a warning names unreadable ones."""
    inputs = []
    for path in paths:
        try:
            inputs.append(preprocess(read_image(path), metadata))
        except UserError as error:
            print(f"mindres: warning: left out: {error}", file=sys.stderr)
    if not inputs:
        raise UserError(f"none of the {len(paths)} images can be read")
    inputs = np.stack(inputs)
    return Samples(inputs, plots.denormalize(inputs, metadata["mean"], metadata["std"]), None, classes)


def dataset(data, count=24):
    """Images of an `ImageDataset` as they are fed, with their classes; `augment=False` shows them as they are."""
    some = samples(data, count)
    return plots.dataset_grid(some.shown, some.labels, some.classes)


def augmentation(data, count=4, times=3):
    """What training makes of the first `count` images of an `ImageDataset` with split "train".

    Side by side: the original, each random step of the recipe on its own, and what the network is really fed in
    `times` successive epochs.
    """
    fed = copy.copy(data)
    fed.shuffle, fed.batch_size = False, min(count, len(labels_of(data)))
    columns = {"original": _each(fed, lambda image: image)}
    for step in [*AUTO_AUGMENT[data.auto_augment](), *data.augmentation()]:
        kind = type(step).__name__
        # Made certain, or half of the images would be seen as they were.
        certain = vision.HorizontalFlip() if kind == "RandomHorizontalFlip" else step
        columns[STEPS.get(kind, kind)] = _each(fed, certain)
    iterator = fed.run().take(1).create_tuple_iterator(num_epochs=times, output_numpy=True)
    for epoch in range(1, times + 1):
        [(images, _)] = iterator
        columns[f"as fed, epoch {epoch}"] = plots.denormalize(images, data.mean, data.std)
    return plots.augmentation_grid(columns)


def _each(data, step):
    """The images of the first batch of `data` after this one step: uint8 (H, W, C), of any sizes."""
    raw = copy.copy(data)
    raw.augment, raw.batch_size, raw.transform = False, 1, [step]
    return [image[0] for image, _ in
            raw.run().take(data.batch_size).create_tuple_iterator(num_epochs=1, output_numpy=True)]


def predictions(net, some: Samples):
    """What `net` says of the images: blue where it is right, red where it is wrong, with the probability."""
    answer = predict(net, some.inputs)
    return plots.prediction_grid(some.shown, [some.classes[k] for k in answer.classes], some.names,
                                 answer.probabilities.max(axis=1))


def gradcam(net, some: Samples, stage=None):
    """The images, each beside its Grad-CAM for the class that `net` sees in it."""
    answer = predict(net, some.inputs)
    heat = inspection.grad_cam(net, some.inputs, answer.classes, stage).heat
    titles = plots.captions([some.classes[k] for k in answer.classes], some.names, answer.probabilities.max(axis=1))
    return plots.gradcam_grid(some.shown, heat, *titles)


def features(net, some: Samples, stage=None, count=64):
    """The first `count` maps that a stage of `net` gives for the first image."""
    _, maps = inspection.feature_maps(net, some.inputs[:1], stage)
    return plots.feature_maps(maps[0][:count])


def filters(net):
    """The kernels of the first convolution of `net`."""
    return plots.filters(inspection.first_filters(net))


def mistakes(evaluation: Evaluation, data, count=24):
    """The most confident mistakes of an evaluation on `data`, the worst first."""
    worst = evaluation.mistakes()[:count]
    if not len(worst):
        return plots.note(f"no mistakes on {evaluation.num_images:,} images")
    names = np.array(evaluation.classes)
    return plots.prediction_grid(plots.denormalize(pick(data, worst), data.mean, data.std),
                                 names[evaluation.predicted[worst]], names[evaluation.labels[worst]],
                                 evaluation.probabilities[worst].max(axis=1))


def confusion(evaluation: Evaluation):
    """The confusion matrix of an evaluation."""
    return plots.confusion_matrix(evaluation.confusion_matrix, evaluation.classes)


def curves(run_dirs):
    """The learning curves of one or several runs, each a folder with a `history.csv`."""
    return plots.learning_curves({str(run): read_history(Path(run) / "history.csv") for run in run_dirs})


def read_history(path):
    """The columns of a `history.csv` by name, as lists of floats with NaN where a field is empty.

    They are epoch, loss, accuracy (a fraction), lr, and where they were noted images_per_second and seconds.

    Raises:
        UserError: there is no such file, or it is not a history.
    """
    path = Path(path)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {name: [_value(name, row[name]) for row in rows]
                   for name in COLUMNS if rows and name in rows[0]}
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a run's history: {error}") from None
    lacking = [f"column {name!r}" for name in COLUMNS[:4] if name not in columns] if rows else ["epochs"]
    if lacking:
        raise UserError(f"{path} is no run's history: it has no {lacking[0]}")
    return columns


def _value(name, text):
    value = float("nan" if text == "" else text)
    if (name == "epoch" and not abs(value) <= 1e9) or (name == "accuracy" and (value < 0 or value > 1)):
        raise ValueError(f"{text!r} is no {name}")
    return float("inf") if abs(value) > 1e100 else value  # which no axis can show
