"""The ranks of the label errors among MNIST's test images that people confirmed."""

from __future__ import annotations

import numpy as np

from benchmarks.check.images import mnist_images, thumbnails

# The test images whose label fewer than three of five people chose who were shown it: 15 of the 100
# that a network had found (Northcutt, Athalye and Mueller, 2021, table 1), by their numbers, with
# how many chose the label. From mturk/mnist_mturk.json in github.com/cleanlab/label-errors.
CONFIRMED = {
    947: 0, 1621: 2, 1901: 2, 2130: 2, 2462: 0, 2597: 0, 2654: 0, 3520: 2,
    3558: 1, 5937: 1, 6651: 0, 6783: 2, 8527: 2, 9679: 2, 9729: 2,
}  # fmt: skip
TEXT = """Of MNIST's 10,000 test images people confirmed {count} wrong labels among 100 that a network had found: fewer than
three of five whom they were shown chose the label (Northcutt, Athalye and Mueller, 2021). Where these rank by the label's
probability, when the 10,000 are checked alone, and among them when all 70,000 images are, by thumbnails:

| images checked | ranks of the {count} | of them in the first 15 | 100 | 300 |
| --- | --- | --- | --- | --- |
{rows}

The first of all of them: {first}."""


def section(args) -> str:
    """The ranks of the confirmed errors."""
    from mindres.check.labels import out_of_sample

    test, test_labels = mnist_images(args.mnist)
    train, train_labels = mnist_images(args.mnist, "train")
    features = thumbnails(np.concatenate([test, train])[..., None])
    labels = np.concatenate([test_labels, train_labels])
    rows = []
    for count in (len(test), len(labels)):
        shares = out_of_sample(features[:count], labels[:count], np.arange(count), pixels=True)
        shares = shares[: len(test)]
        order = np.argsort(shares[np.arange(len(test)), test_labels], kind="stable")
        ranks = 1 + np.sort(np.argsort(order)[[*CONFIRMED]])
        counts = [f"{(ranks <= most).sum()}" for most in (15, 100, 300)]
        rows.append(f"| {count:,} | {', '.join(map(str, ranks))} | {' | '.join(counts)} |")
        print(rows[-1], flush=True)
    first = ", ".join(
        f"{i} (a {test_labels[i]}, perhaps a {shares[i].argmax()})" for i in order[:12]
    )
    return TEXT.format(count=len(CONFIRMED), rows="\n".join(rows), first=first)
