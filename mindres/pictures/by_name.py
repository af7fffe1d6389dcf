"""Every picture by its name: from datasets, networks and runs to the figure that `mindres.plots` makes of them."""

from __future__ import annotations

import copy
import sys
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
from mindspore.dataset import vision

from mindres.data.as_trained import preprocess
from mindres.data.augment import AUTO_AUGMENT
from mindres.data.images import read_image
from mindres.errors import UserError
from mindres.evaluation import grad_cam
from mindres.evaluation.evaluator import Evaluation
from mindres.evaluation.predictor import predict
from mindres.evaluation.trained_data import pick
from mindres.pictures import drawing
from mindres.runs.folder import RunFolder
from mindres.runs.history import read_history
from mindres.weights.metadata import Metadata

# What a step of augmentation is called above its column; others have their class's name.
STEPS = {
    "RandomHorizontalFlip": "flipped",
    "RandomCrop": "cropped",
    "RandomResizedCrop": "cropped, resized",
}


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
    return Samples(
        images, drawing.denormalize(images, data.mean, data.std), labels, list(data.classes)
    )


def samples_from_files(paths, metadata: Mapping, classes) -> Samples:
    """Image files, as the network of a checkpoint with this `metadata` is fed them; a warning names unreadable ones."""
    metadata, inputs = Metadata.of(metadata), []
    for path in paths:
        try:
            inputs.append(preprocess(read_image(path), metadata))
        except UserError as error:
            print(f"mindres: warning: left out: {error}", file=sys.stderr)
    if not inputs:
        raise UserError(f"none of the {len(paths)} images can be read")
    inputs = np.stack(inputs)
    return Samples(inputs, drawing.denormalize(inputs, metadata.mean, metadata.std), None, classes)


def dataset(data, count=24):
    """Images of an `ImageDataset` as they are fed, with their classes; `augment=False` shows them as they are."""
    some = samples(data, count)
    return drawing.dataset_grid(some.shown, some.labels, some.classes)


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
        columns[f"as fed, epoch {epoch}"] = drawing.denormalize(images, data.mean, data.std)
    return drawing.augmentation_grid(columns)


def _each(data, step):
    """The images of the first batch of `data` after this one step: uint8 (H, W, C), of any sizes."""
    raw = copy.copy(data)
    raw.augment, raw.batch_size, raw.transform = False, 1, [step]
    return [
        image[0]
        for image, _ in raw.run()
        .take(data.batch_size)
        .create_tuple_iterator(num_epochs=1, output_numpy=True)
    ]


def predictions(net, some: Samples):
    """What `net` says of the images: blue where it is right, red where it is wrong, with the probability."""
    answer = predict(net, some.inputs)
    return drawing.prediction_grid(
        some.shown,
        [some.classes[k] for k in answer.classes],
        some.names,
        answer.probabilities.max(axis=1),
    )


def gradcam(net, some: Samples, stage=None):
    """The images, each beside its Grad-CAM for the class that `net` sees in it."""
    answer = predict(net, some.inputs)
    heat = grad_cam.grad_cam(net, some.inputs, answer.classes, stage).heat
    titles = drawing.captions(
        [some.classes[k] for k in answer.classes], some.names, answer.probabilities.max(axis=1)
    )
    return drawing.gradcam_grid(some.shown, heat, *titles)


def features(net, some: Samples, stage=None, count=64):
    """The first `count` maps that a stage of `net` gives for the first image."""
    _, maps = grad_cam.feature_maps(net, some.inputs[:1], stage)
    return drawing.feature_maps(maps[0][:count])


def filters(net):
    """The kernels of the first convolution of `net`."""
    return drawing.filters(grad_cam.first_filters(net))


def mistakes(evaluation: Evaluation, data, count=24):
    """The most confident mistakes of an evaluation on `data`, the worst first."""
    worst = evaluation.mistakes()[:count]
    if not len(worst):
        return drawing.note(f"no mistakes on {evaluation.num_images:,} images")
    names = np.array(evaluation.classes)
    return drawing.prediction_grid(
        drawing.denormalize(pick(data, worst), data.mean, data.std),
        names[evaluation.predicted[worst]],
        names[evaluation.labels[worst]],
        evaluation.probabilities[worst].max(axis=1),
    )


def confusion(evaluation: Evaluation):
    """The confusion matrix of an evaluation."""
    return drawing.confusion_matrix(evaluation.confusion_matrix, evaluation.classes)


def curves(run_dirs):
    """The learning curves of one or several runs, each a folder with a `history.csv`."""
    return drawing.learning_curves(
        {str(run): read_history(RunFolder(run).history) for run in run_dirs}
    )
