"""Checks a data set and collects the findings."""

from __future__ import annotations

from collections import Counter

import numpy as np
from numpy.typing import NDArray

from mindres.check import duplicates, labels, outliers, quality
from mindres.check.checked_images import CheckedImages
from mindres.check.features import network_features, pixel_features
from mindres.check.measures import Measures, measure
from mindres.check.result import CheckResult, Finding

LEAST_AGREEMENT = 0.6  # accuracy of a model on the labels at which its doubts are reported
FEW = 20  # images of a class below which a note says that they are few


def check_data(images: CheckedImages, net=None) -> CheckResult:
    """Find what is wrong with `images`.

    Args:
        images: the result of `open_checked`.
        net: the network whose features the images are compared by; None compares thumbnails, which
            suits digits and the like but not photographs.
    """
    measures = measure(images)
    features = pixel_features(measures) if net is None else network_features(net, images)
    copies = duplicates.find_copies(measures)
    wrong, note = _labels(images, features, copies, pixels=net is None)
    rows = [
        *_broken(images),
        *_single(images, "blank", quality.blank(measures), "nearly one colour"),
        *_single(images, "dark", quality.dark(measures), "nearly black"),
        *_single(images, "blurred", quality.blurred(measures), "little detail"),
        *_copies(images, copies),
        *wrong,
        *_single(images, "outlier", outliers.find_outliers(features), "unlike all others"),
    ]
    return CheckResult(images, rows, _facts(images, measures), [*_notes(images, net), note])


def _finding(images, position, kind, score, suggestion, *others) -> Finding:
    return Finding(
        path=images.names[position],
        kind=kind,
        score=float(score),
        suggestion=suggestion,
        label=images.classes[images.labels[position]],
        split=images.splits[position],
        positions=(int(position), *map(int, others)),
    )


def _broken(images: CheckedImages) -> list[Finding]:
    unreadable = sorted(images.unreadable.items())
    return [Finding(path, "broken", 1.0, reason) for path, reason in unreadable]


def _single(images, kind: str, found: dict[int, float], reason: str) -> list[Finding]:
    ordered = sorted(found.items(), key=lambda item: -item[1])
    return [_finding(images, i, kind, score, reason) for i, score in ordered]


def _copies(images: CheckedImages, copies: duplicates.Copies) -> list[Finding]:
    """Leaks and duplicates: each image at most once as each, with its most similar copy.

    A leak names the image that is in training, so that leaving it out removes the leak.
    """
    rows: dict[tuple[int, str], Finding] = {}
    for (first, second), score in zip(copies.pairs.tolist(), copies.scores.tolist()):
        leak = images.splits[first] != images.splits[second]
        kind = "leak" if leak else "duplicate"
        # "train" is the first split, so the first image of a leak is the one in training.
        position, other = (first, second) if leak else (second, first)
        row = _finding(images, position, kind, score, images.names[other], other)
        rows.setdefault((position, kind), row)
    return sorted(rows.values(), key=lambda row: (row.kind != "leak", -row.score))


def _labels(
    images: CheckedImages, features: NDArray, copies, pixels: bool
) -> tuple[list[Finding], str]:
    """Probably wrong labels, and a sentence on the model that found them."""
    groups = copies.sets(len(images))
    probabilities = labels.out_of_sample(features, images.labels, groups, pixels)
    if probabilities is None:
        return [], "There are too few images of each class to doubt labels."
    judged = probabilities.any(axis=1)
    agreed = float((probabilities.argmax(axis=1) == images.labels)[judged].mean())
    note = f"The model that doubts labels agrees with {agreed:.0%} of them"
    if agreed < LEAST_AGREEMENT:
        return [], f"{note}, too few to believe it: compare by a network that suits the images."
    found = labels.find_label_issues(probabilities, images.labels)
    return [
        _finding(images, i, "label", score, images.classes[k])
        for i, score, k in zip(found.positions, found.scores, found.suggestions)
    ], f"{note}."


def _facts(images: CheckedImages, measures: Measures) -> dict:
    """The sizes of splits and classes, the sizes of images, and what a crop keeps of them."""
    counts = np.bincount(images.labels, minlength=len(images.classes))
    sides = np.sort(measures.sizes, axis=1)
    data = images.parts[0]
    kept = data.crop_fraction**2 * sides[:, 0] / sides[:, 1] if data.crops else np.ones(len(sides))
    middle = np.median(measures.sizes, axis=0).astype(int).tolist()
    return {
        "splits": dict(Counter(images.splits)),
        "classes": dict(zip(images.classes, counts.tolist())),
        "median_size": middle,
        "smallest_size": measures.sizes[sides[:, 0].argmin()].tolist(),
        "largest_size": measures.sizes[sides[:, 1].argmax()].tolist(),
        "kept_by_crop": {"mean": float(kept.mean()), "least": float(kept.min())},
    }


def _notes(images: CheckedImages, net) -> list[str]:
    notes = []
    if net is None:
        notes.append("Images were compared by their pixels, which says little of photographs.")
    counts = np.bincount(images.labels, minlength=len(images.classes))
    few = [f"{images.classes[k]} ({counts[k]})" for k in np.flatnonzero(counts < FEW)]
    if few:
        notes.append(f"Classes of fewer than {FEW} images: {', '.join(few)}.")
    return notes
