"""The ranks of the label errors among MNIST's test images that people confirmed."""

from __future__ import annotations

import tempfile
from pathlib import Path

import numpy as np

from benchmarks.check.commands import command
from benchmarks.check.images import mnist_images, thumbnails

# The test images whose label fewer than three of five people chose who were shown it: 15 of the 100
# that a network had found (Northcutt, Athalye and Mueller, 2021, table 1), by their numbers, with
# how many chose the label. From mturk/mnist_mturk.json in github.com/cleanlab/label-errors.
CONFIRMED = {
    947: 0, 1621: 2, 1901: 2, 2130: 2, 2462: 0, 2597: 0, 2654: 0, 3520: 2,
    3558: 1, 5937: 1, 6651: 0, 6783: 2, 8527: 2, 9679: 2, 9729: 2,
}  # fmt: skip
TEXT = """Of MNIST's 10,000 test images people confirmed {count} wrong labels among 100 that a network had found: fewer than
three of five whom they were shown chose the label (Northcutt, Athalye and Mueller, 2021). Where these rank among the 10,000 by
the label's probability: by thumbnails, when the 10,000 are checked alone and when all 70,000 images are; and by the features
of a LeNet-5 that `mindres train mnist` trained on the others for three epochs.

| images checked | compared by | ranks of the {count} | of them in the first 15 | 100 | 300 |
| --- | --- | --- | --- | --- | --- |
{rows}

By LeNet-5's features these come first: {first}."""
TRAINING = ["--arch", "lenet5", "--pretrained", "false", "--recipe", "fast", "--epochs", "3"]


def section(args) -> str:
    """The ranks of the confirmed errors."""
    from mindres.check.labels import out_of_sample

    test, labels = mnist_images(args.mnist)
    train, others = mnist_images(args.mnist, "train")
    pixels = thumbnails(np.concatenate([test, train])[..., None])
    every = np.concatenate([labels, others])
    cases = {
        "10,000 | thumbnails": (pixels[: len(test)], True),
        "70,000 | thumbnails": (pixels, True),
        "10,000 | LeNet-5": (trained_features(args.mnist), False),
    }
    rows = []
    for name, (features, are_pixels) in cases.items():
        count = len(features)
        shares = out_of_sample(features, every[:count], np.arange(count), are_pixels)[: len(test)]
        order = np.argsort(shares[np.arange(len(test)), labels], kind="stable")
        ranks = 1 + np.sort(np.argsort(order)[[*CONFIRMED]])
        counts = [f"{(ranks <= most).sum()}" for most in (15, 100, 300)]
        rows.append(f"| {name} | {', '.join(map(str, ranks))} | {' | '.join(counts)} |")
        print(rows[-1], flush=True)
    first = ", ".join(f"{i} (a {labels[i]}, perhaps a {shares[i].argmax()})" for i in order[:12])
    return TEXT.format(count=len(CONFIRMED), rows="\n".join(rows), first=first)


def trained_features(folder: Path):
    """The features of MNIST's test images by a network that was trained on the others."""
    import mindres
    from mindres.data import Mnist
    from mindres.training.frozen_features import features_of

    with tempfile.TemporaryDirectory() as place:
        command("train", "mnist", "--dataset_path", folder, *TRAINING, "--ckpt_dir", place)
        net, metadata = mindres.load_model(f"{place}/best.ckpt")
    data = Mnist(folder, "test", resize=metadata.input_size).plain()
    kept = features_of(net, data, of_classifier=True)
    return np.concatenate([rows for _, rows in kept.pieces()])
