"""How many of the errors that are planted in real images `mindres check` finds.

    python -m benchmarks.check --cifar10 DIR --mnist DIR --weights FILE     in a few minutes

DIR of CIFAR-10 is a folder of class folders. Labels: 5% are flipped; the ranking by the given
label's probability, and cleanlab's own on the same probabilities where it is installed. Copies: of
training images on which nothing was chosen, among 10,000 test images. Gain: a logistic regression
on the features of the published network, trained with flipped labels and without what is found.
"""

from __future__ import annotations

import argparse
import io
import time
from datetime import date
from pathlib import Path

import numpy as np
from PIL import Image
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score

OUT = Path(__file__).resolve().parent / "results" / "check.md"
FLIPPED, SEEDS = 0.05, 3


def flipped(labels, rng, share=FLIPPED):
    """Labels of which a share is wrong, and which these are."""
    wrong = np.zeros(len(labels), bool)
    wrong[rng.choice(len(labels), round(share * len(labels)), replace=False)] = True
    classes = labels.max() + 1
    return np.where(
        wrong, (labels + rng.integers(1, classes, len(labels))) % classes, labels
    ), wrong


def ranked(name, features, labels, count):
    """A row of the table: means over seeds, of `count` images of which some have wrong labels."""
    from mindres.check.labels import find_label_issues, out_of_sample

    rows = []
    for seed in range(SEEDS if count < len(labels) else 1):
        rng = np.random.default_rng(seed)
        chosen = rng.choice(len(labels), count, replace=False)
        given, wrong = flipped(labels[chosen], rng)
        started = time.process_time()
        shares = out_of_sample(features[chosen], given, np.arange(count))
        seconds = time.process_time() - started
        own = average_precision_score(wrong, -shares[np.arange(count), given])
        found = find_label_issues(shares, given).positions
        rows.append(
            [
                own,
                cleanlabs(shares, given, wrong),
                wrong[found].mean(),
                wrong[found].sum() / wrong.sum(),
                seconds,
            ]
        )
    means = np.mean(np.array(rows, float), axis=0)
    theirs = "" if np.isnan(means[1]) else f"{means[1]:.3f}"
    return f"| {name}, {count:,} images | {means[0]:.3f} | {theirs} | {means[2]:.0%} | {means[3]:.0%} | {means[4]:.0f} s |"


def cleanlabs(shares, given, wrong) -> float:
    """The average precision of cleanlab's normalised margin; NaN where it is not installed."""
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return float("nan")
    shares = shares / shares.sum(axis=1, keepdims=True)
    return average_precision_score(
        wrong, -get_label_quality_scores(given, shares, method="normalized_margin")
    )


def gain(features, labels) -> list[str]:
    """Accuracy on 5,000 images after training on 5,000 with 20% wrong labels."""
    from mindres.check.labels import find_label_issues, out_of_sample

    rows = []
    for seed in range(SEEDS):
        rng = np.random.default_rng(seed)
        order = rng.permutation(len(labels))
        train, test = order[: len(order) // 2], order[len(order) // 2 :]
        given, wrong = flipped(labels[train], rng, 0.2)
        found = find_label_issues(
            out_of_sample(features[train], given, np.arange(len(train))), given
        )
        kept = ~np.isin(np.arange(len(train)), found.positions)
        fitted = [
            LogisticRegression(max_iter=200).fit(features[train][use], given[use])
            for use in (np.ones(len(train), bool), kept, ~wrong)
        ]
        rows.append([model.score(features[test], labels[test]) for model in fitted])
        print("gain", seed, rows[-1], flush=True)
    return [f"{np.mean(each):.1%} ({min(each):.1%} to {max(each):.1%})" for each in zip(*rows)]


def encoded(pixels, side=None, quality=75, mirrored=False):
    """A copy of an image as JPEG."""
    picture = Image.fromarray(pixels[:, ::-1] if mirrored else pixels)
    if side:
        picture = picture.resize((side, side), Image.Resampling.BICUBIC)
    picture.save(buffer := io.BytesIO(), "JPEG", quality=quality)
    return np.asarray(Image.open(buffer).convert("RGB"))


COPIES = {
    "re-encoded, quality 60": {"quality": 60},
    "twice the size": {"side": 64, "quality": 90},
    "three quarters of the size": {"side": 24, "quality": 90},
    "mirrored": {"mirrored": True},
    "mirrored, half as large again": {"side": 48, "quality": 80, "mirrored": True},
}


def copies(folder: Path, count=1000) -> tuple[list[str], str]:
    """A row for each kind of copy, and how many pairs are found among the images themselves."""
    from mindres.check.duplicates import find_copies
    from mindres.check.measures import measures_of

    test, train = (
        [np.asarray(Image.open(path).convert("RGB")) for path in files]
        for files in (
            sorted(folder.glob("test/*/*.jpg")),
            sorted(folder.glob("train/*/*.jpg"))[::40][:count],
        )
    )
    rows = []
    sound = test + train
    for name, options in COPIES.items():
        started = time.process_time()
        found = find_copies(measures_of([*sound, *(encoded(each, **options) for each in train)]))
        seconds = time.process_time() - started
        pairs = {tuple(pair) for pair in found.pairs.tolist()}
        first = len(test)
        wanted = {(first + i, first + len(train) + i) for i in range(len(train))}
        own = [pair for pair in pairs if pair[1] < len(sound)]
        other = [pair for pair in pairs - wanted if pair[1] >= len(sound)]
        print(name, len(pairs & wanted), len(other), sorted(own), flush=True)
        rows.append(f"| {name} | {len(pairs & wanted) / len(train):.1%} | {seconds:.0f} s |")
    return rows, f"{len(own)} pairs among the {len(sound):,} images themselves"


def mnist_images(folder: Path):
    """MNIST's test images, uint8 (10,000, 28, 28), and their labels."""
    images, labels = (
        np.frombuffer((folder / name).read_bytes()[start:], np.uint8)
        for name, start in (("t10k-images-idx3-ubyte", 16), ("t10k-labels-idx1-ubyte", 8))
    )
    return images.reshape(-1, 28, 28), labels.astype(int)


def network_features(folder: Path, weights: Path):
    """The features of the published ResNet-56 of CIFAR-10's test images, and the labels."""
    import mindres
    from mindres.data import ImageFolder
    from mindres.training.frozen_features import features_of

    net, _ = mindres.load_model(weights, arch="resnet56")
    data = ImageFolder(folder, "test", resize=32).plain()
    data.crop_fraction = 1.0
    features, labels = features_of(net, data)
    return features.reshape(len(features), -1), labels


def thumbnails(images):
    """The features by which `mindres check --arch none` compares images."""
    from mindres.check.features import pixel_features
    from mindres.check.measures import measures_of

    return pixel_features(measures_of(images))


TABLE = """# Errors that were planted, and what `mindres check` finds of them

`python -m benchmarks.check --cifar10 DIR --mnist DIR --weights FILE`, {date}, on CPU. CIFAR-10's images are those
after a pass through JPEG, on which the published ResNet-56, whose features these are, has an accuracy of 83%.

## Labels

5% of the labels flipped; the mean of three seeds, one where all images are taken. First the average precision of the
ranking by the given label's probability. cleanlab's own score, self-confidence, ranks the same probabilities as that
does; its column is its other one, the normalised margin. Then, of what is reported: how much of it was flipped, and how
much of what was flipped is in it.

| images | average precision | cleanlab | right | found | processor time |
| --- | --- | --- | --- | --- | --- |
{labels}

{mnist}

## Copies

Of 1,000 training images among these and 10,000 test images; the limits were chosen on copies of test images. {own}, the
same car twice and a deer and its mirror image, and no pair that is none.

| copies | found | processor time |
| --- | --- | --- |
{copies}

## Gain

A classifier on the same features, trained on 5,000 images of which 20% have a wrong label: with all of them
{gain[0]}, without what is found {gain[1]}, and with the right ones alone {gain[2]}. Mean and range of three seeds, on
5,000 other images.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    for name in ("cifar10", "mnist", "weights"):
        parser.add_argument(f"--{name}", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=OUT)
    args = parser.parse_args()
    from sklearn.datasets import load_digits

    from mindres.check.labels import find_label_issues, out_of_sample

    features, labels = network_features(args.cifar10, args.weights)
    digits = load_digits()
    images, numbers = mnist_images(args.mnist)
    of_mnist = thumbnails(images[..., None])
    scaled = (digits.images * 255 / 16).astype(np.uint8)[..., None]
    lines = [
        ranked("CIFAR-10, ResNet-56", features, labels, 2_000),
        ranked("CIFAR-10, ResNet-56", features, labels, len(labels)),
        ranked("MNIST, pixels", of_mnist, numbers, 2_000),
        ranked("MNIST, pixels", of_mnist, numbers, len(numbers)),
        ranked("Digits, pixels", thumbnails(scaled), digits.target, len(digits.target)),
    ]
    print("\n".join(lines), flush=True)
    first = find_label_issues(out_of_sample(of_mnist, numbers, np.arange(len(numbers))), numbers)
    named = ", ".join(
        f"{i} (a {numbers[i]}, perhaps a {k})"
        for i, k in zip(first.positions[:12], first.suggestions)
    )
    odd = f"Of MNIST's test images as they are, these come first: {named}. They are oddly written."
    improved = gain(features, labels)
    rows, own = copies(args.cifar10)
    args.out.write_text(
        TABLE.format(
            date=date.today(),
            labels="\n".join(lines),
            mnist=odd,
            own=f"Found were also {own}",
            copies="\n".join(rows),
            gain=improved,
        )
    )


if __name__ == "__main__":
    main()
