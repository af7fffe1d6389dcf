"""The images of the measurements, their features and their labels."""

from __future__ import annotations

from pathlib import Path

import numpy as np

# As the published CIFAR-10 networks were trained.
AS_TRAINED = {
    "mean": [0.485, 0.456, 0.406],
    "std": [0.229, 0.224, 0.225],
    "input_size": [32, 32],
    "crop_fraction": 1.0,
    "fit": "crop",
}


def flipped(labels, rng, share: float):
    """Labels of which a share is another class, drawn at random, and which these are."""
    wrong = np.zeros(len(labels), bool)
    wrong[rng.choice(len(labels), round(share * len(labels)), replace=False)] = True
    classes = labels.max() + 1
    others = (labels + rng.integers(1, classes, len(labels))) % classes
    return np.where(wrong, others, labels), wrong


def mnist_images(folder: Path, split="t10k"):
    """MNIST's images of a split, uint8 (N, 28, 28), and their labels."""
    images, labels = (
        np.frombuffer((folder / f"{split}-{name}-ubyte").read_bytes()[start:], np.uint8)
        for name, start in (("images-idx3", 16), ("labels-idx1", 8))
    )
    return images.reshape(-1, 28, 28), labels.astype(int)


def network_features(folder: Path, weights: Path):
    """The features of the published ResNet-56 of CIFAR-10's test images, and the labels."""
    import mindres
    from mindres.data import ImageFolder
    from mindres.training.frozen_features import features_of

    net, _ = mindres.load_model(weights, arch="resnet56")
    data = ImageFolder(folder, "test", resize=32).plain()
    data.crop_fraction = AS_TRAINED["crop_fraction"]
    kept = features_of(net, data, tta=data.mirrored)
    features = np.concatenate([rows for _, rows in kept.pieces()])
    return features.reshape(len(features), -1), kept.labels


def thumbnails(images):
    """The features by which `mindres check --arch none` compares images."""
    from mindres.check.features import pixel_features
    from mindres.check.measures import measures_of

    return pixel_features(measures_of(images))
