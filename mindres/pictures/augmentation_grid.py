"""Training images after each step of augmentation."""

from __future__ import annotations

import copy

from mindspore.dataset import vision

from mindres.data.augment import policy
from mindres.pictures.drawing import Figure, denormalize, show, text
from mindres.pictures.sample_images import labels_of

# What a step of augmentation is called above its column; others have their class's name.
STEPS = {
    "RandomHorizontalFlip": "flipped",
    "RandomCrop": "cropped",
    "RandomResizedCrop": "cropped, resized",
}


def augmentation(data, count=4, times=3):
    """The first `count` images of an `ImageDataset` with split "train", augmented.

    Side by side: the original, each random step of the recipe on its own, and what the network is
    fed in `times` successive epochs.
    """
    fed = copy.copy(data)
    fed.shuffle = False
    fed.batch_size = min(count, len(labels_of(data)))
    columns = {"original": _each(fed, lambda image: image)}
    for step in [*policy(data.auto_augment), *data.augmentation()]:
        kind = type(step).__name__
        # Made certain, or half of the images would be seen as they were.
        certain = vision.HorizontalFlip() if kind == "RandomHorizontalFlip" else step
        columns[STEPS.get(kind, kind)] = _each(fed, certain)
    iterator = fed.run().take(1).create_tuple_iterator(num_epochs=times, output_numpy=True)
    for epoch in range(1, times + 1):
        [(images, _)] = iterator
        columns[f"as fed, epoch {epoch}"] = denormalize(images, data.mean, data.std)
    return augmentation_grid(columns)


def _each(data, step):
    """The images of the first batch of `data` after this step: uint8 (H, W, C), of any sizes."""
    raw = copy.copy(data)
    raw.augment = False
    raw.batch_size = 1
    raw.transform = [step]
    batches = raw.run().take(data.batch_size)
    return [image[0] for image, _ in batches.create_tuple_iterator(num_epochs=1, output_numpy=True)]


def augmentation_grid(columns):
    """A row for each image, a column for each kind, such as "original", "flipped" or "as fed".

    Args:
        columns: the images of each kind, N of them, by its name.
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
