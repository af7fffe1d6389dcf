"""Training images after each step of augmentation."""

from __future__ import annotations

import copy

from mindspore.dataset import vision

from mindres.data.augment import policy
from mindres.pictures.drawing import Figure, denormalize, show, text
from mindres.pictures.sample_images import labels_of

# The titles of steps of augmentation; others have their class's name.
STEPS = {
    "RandomHorizontalFlip": "flipped",
    "RandomCrop": "cropped",
    "RandomResizedCrop": "cropped, resized",
}


def augmentation(data, count=4, times=3):
    """The first `count` images of an `ImageDataset` with split "train", augmented.

    Each row shows the original, each random step on its own, and the network's input in `times`
    successive epochs.
    """
    fed = copy.copy(data)
    fed.shuffle = False
    fed.batch_size = min(count, len(labels_of(data)))
    columns = {"original": _each(fed, lambda image: image)}
    for step in [*policy(data.auto_augment), *data.augmentation()]:
        kind = type(step).__name__
        # The flip is always applied, since half of the images would otherwise not change.
        certain = vision.HorizontalFlip() if kind == "RandomHorizontalFlip" else step
        columns[STEPS.get(kind, kind)] = _each(fed, certain)
    iterator = fed.run().take(1).create_tuple_iterator(num_epochs=times, output_numpy=True)
    for epoch in range(1, times + 1):
        [(images, _)] = iterator
        columns[f"as fed, epoch {epoch}"] = denormalize(images, data.mean, data.std)
    return augmentation_grid(columns)


def _each(data, step):
    """The images of the first batch of `data` after `step`, uint8 (H, W, C) of any sizes."""
    raw = copy.copy(data)
    raw.augment = False
    raw.batch_size = 1
    raw.transform = [step]
    batches = raw.run().take(data.batch_size)
    return [image[0] for image, _ in batches.create_tuple_iterator(num_epochs=1, output_numpy=True)]


def augmentation_grid(columns):
    """A row for each image and a column for each kind, such as "original" or "flipped".

    Args:
        columns: the N images of each kind, by its name.
    """
    rows = len(next(iter(columns.values())))
    size = (1.5 * len(columns), 1.5 * rows + 0.3)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.subplots(rows, len(columns), squeeze=False)
    for column, (name, images) in enumerate(columns.items()):
        axes[0, column].set_title(name, **text(10))
        for axis, image in zip(axes[:, column], images):
            show(axis, image)
            axis.axis("off")
    return figure
