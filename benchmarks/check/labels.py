"""How the images whose labels were flipped rank among all of them."""

from __future__ import annotations

import time

import numpy as np
from sklearn.linear_model import LogisticRegression
from sklearn.metrics import average_precision_score
from sklearn.model_selection import cross_val_predict

from benchmarks.check.images import flipped, mnist_images, network_features, thumbnails

SEEDS, SEEDS_OF_ALL, FLIPPED = 20, 3, 0.05
TEXT = """5% of the labels flipped: means of {seeds} seeds for the images and the flips, of three where all images are taken. First the
average precision of the ranking by the given label's probability, with the lowest and the highest of the seeds. Then that of
a plain logistic regression on the same features, and that of cleanlab's normalised margin on our probabilities; cleanlab's
other score, self-confidence, ranks as we do. Then, of what is reported: how much of it was flipped, and how much of what was
flipped is in it. Method and settings were chosen on 5,000 of CIFAR-10's test images, the 2,000 come from the other 5,000, and on
MNIST's training images.

| images | average precision | plain regression | normalised margin | right | found | processor time |
| --- | --- | --- | --- | --- | --- | --- |
{rows}"""


def section(args) -> str:
    """The table of the rankings."""
    from sklearn.datasets import load_digits

    features, labels = network_features(args.cifar10, args.weights)
    other = np.random.default_rng(12345).permutation(len(labels))[len(labels) // 2 :]
    images, numbers = mnist_images(args.mnist)
    of_mnist = thumbnails(images[..., None])
    digits = load_digits()
    scaled = (digits.images * 255 / 16).astype(np.uint8)[..., None]
    cases = [
        ("CIFAR-10, ResNet-56", features[other], labels[other], 2_000, False),
        ("CIFAR-10, ResNet-56", features, labels, len(labels), False),
        ("MNIST, pixels", of_mnist, numbers, 2_000, True),
        ("MNIST, pixels", of_mnist, numbers, len(numbers), True),
        ("Digits, pixels", thumbnails(scaled), digits.target, len(digits.target), True),
    ]
    rows = []
    for case in cases:
        rows.append(row(*case))
        print(rows[-1], flush=True)
    return TEXT.format(seeds=SEEDS, rows="\n".join(rows))


def row(name, features, labels, count, pixels) -> str:
    """A row on the ranking of `count` images."""
    seeds = SEEDS if count < len(labels) else SEEDS_OF_ALL
    found = [ranking(features, labels, count, pixels, seed) for seed in range(seeds)]
    own, plain, margin, right, share, seconds = np.mean(found, axis=0)
    lowest, highest = np.array(found)[:, 0].min(), np.array(found)[:, 0].max()
    others = ["" if np.isnan(each) else f"{each:.3f}" for each in (plain, margin)]
    return (
        f"| {name}, {count:,} images | {own:.3f} ({lowest:.3f} to {highest:.3f}) | "
        f"{' | '.join(others)} | {right:.0%} | {share:.0%} | {seconds:.1f} s |"
    )


def ranking(features, labels, count: int, pixels: bool, seed: int) -> list[float]:
    """The numbers of a row for one seed."""
    from mindres.check.labels import find_label_issues, out_of_sample

    rng = np.random.default_rng(seed)
    chosen = rng.choice(len(labels), count, replace=False)
    given, wrong = flipped(labels[chosen], rng, FLIPPED)
    started = time.process_time()
    shares = out_of_sample(features[chosen], given, np.arange(count), pixels)
    seconds = time.process_time() - started
    every = np.arange(count)
    found = find_label_issues(shares, given).positions
    return [
        average_precision_score(wrong, -shares[every, given]),
        float("nan") if pixels else plain_regression(features[chosen], given, wrong),
        normalised_margin(shares, given, wrong),
        wrong[found].mean(),
        wrong[found].sum() / wrong.sum(),
        seconds,
    ]


def plain_regression(features, given, wrong) -> float:
    """The average precision of a logistic regression with scikit-learn's settings, in five folds."""
    model = LogisticRegression(max_iter=100)
    shares = cross_val_predict(model, features, given, method="predict_proba")
    return average_precision_score(wrong, -shares[np.arange(len(given)), given])


def normalised_margin(shares, given, wrong) -> float:
    """The average precision of cleanlab's normalised margin; NaN where it is not installed."""
    try:
        from cleanlab.rank import get_label_quality_scores
    except ImportError:
        return float("nan")
    shares = shares / shares.sum(axis=1, keepdims=True)
    scores = get_label_quality_scores(given, shares, method="normalized_margin")
    return average_precision_score(wrong, -scores)
