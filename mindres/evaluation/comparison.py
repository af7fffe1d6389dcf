"""Compares two networks by their predictions for the same images."""

from __future__ import annotations

import html
import math
from dataclasses import dataclass

import numpy as np

from mindres.errors import UserError
from mindres.evaluation.evaluation import Evaluation
from mindres.evaluation.interval import Z

SURE = 0.05  # the networks differ if the p-value of McNemar's test is below this
MOST_CLASSES = 5  # classes whose recall is shown


@dataclass
class Comparison:
    """The result of `compare`: two evaluations on the same images and what differs.

    counts: int (2, 2), the number of images by whether the first network is right (rows: right,
        wrong) and whether the second one is (columns).
    p_value: p-value of McNemar's exact test (McNemar, 1947): the probability that equally good
        networks differ at least as much, 0 to 1.
    interval: the 95% interval of `difference`, by Agresti and Min (2005), section 2.
    """

    first: Evaluation
    second: Evaluation
    counts: np.ndarray
    p_value: float
    interval: tuple[float, float]

    @property
    def difference(self) -> float:
        """The second network's accuracy minus the first's, a fraction."""
        return self.second.accuracy - self.first.accuracy

    def verdict(self) -> str:
        """The result in a sentence."""
        images = f"these {self.first.num_images:,} images"
        low, high = (100 * end for end in self.interval)
        if self.p_value >= SURE:
            return (
                f"They cannot be told apart on {images}: the second minus the first is "
                f"{100 * self.difference:+.1f} points ({low:+.1f} to {high:+.1f})."
            )
        better = "second" if self.difference > 0 else "first"
        if self.difference < 0:
            low, high = -high, -low
        return (
            f"The {better} is better by {abs(100 * self.difference):.1f} points "
            f"({low:.1f} to {high:.1f}) on {images}."
        )

    def per_class(self) -> list[dict]:
        """A dict per class: `class`, `images`, and the recall of `first` and `second`.

        Classes whose recalls differ by more images come first.
        """
        theirs = {row["class"]: row["recall"] for row in self.second.per_class()}
        rows = [
            {
                "class": row["class"],
                "images": row["support"],
                "first": row["recall"],
                "second": theirs[row["class"]],
            }
            for row in self.first.per_class()
            if row["support"]
        ]
        return sorted(rows, key=lambda row: -abs(row["second"] - row["first"]) * row["images"])

    def differing(self) -> list[dict]:
        """A dict for each image on which one network is right and the other wrong.

        `position` is its index, `image` its file or None; `true`, `first` and `second` are class
        names. Images on which the wrong network is most confident come first.
        """
        right = [each.predicted == each.labels for each in (self.first, self.second)]
        wrong_confidence = np.where(right[0], _confidence(self.second), _confidence(self.first))
        where = np.flatnonzero(right[0] != right[1])
        files, classes = self.first.files, self.first.classes
        return [
            {
                "position": int(i),
                "image": files[i] if files else None,
                "true": classes[self.first.labels[i]],
                "first": classes[self.first.predicted[i]],
                "second": self.second.classes[self.second.predicted[i]],
            }
            for i in where[np.argsort(-wrong_confidence[where], kind="stable")]
        ]

    def to_json(self) -> dict:
        """The comparison as JSON values."""
        return {
            "num_images": self.first.num_images,
            "accuracy": [self.first.accuracy, self.second.accuracy],
            "difference": self.difference,
            "difference_interval": list(self.interval),
            "p_value": self.p_value,
            "verdict": self.verdict(),
            "right_or_wrong": self.counts.tolist(),
            "per_class": self.per_class(),
            "differing": self.differing(),
        }

    def __str__(self) -> str:
        lines = [self.verdict(), f"McNemar's exact test: p = {self.p_value:.2g}", ""]
        for name, each in (("first", self.first), ("second", self.second)):
            low, high = each.interval
            lines.append(f"{name:6}  {each.accuracy:.2%} (95% interval {low:.2%} to {high:.2%})")
        (both, only_first), (only_second, neither) = self.counts
        lines += [
            "",
            f"both right {both:,}, only the first {only_first:,}, only the second {only_second:,}, "
            f"both wrong {neither:,}",
        ]
        changed = [row for row in self.per_class() if row["first"] != row["second"]]
        if changed:
            width = max(6, *(len(row["class"]) for row in changed[:MOST_CLASSES]))
            lines += ["", f"{'recall':{width}}    first  second  images"]
            lines += [
                f"{row['class']:{width}}  {row['first']:7.2%} {row['second']:7.2%} "
                f"{row['images']:7,}"
                for row in changed[:MOST_CLASSES]
            ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return f"<pre>{html.escape(str(self))}</pre>"


def compare(first: Evaluation, second: Evaluation) -> Comparison:
    """Compare the results of `mindres.evaluate` for two networks on the same images.

    Raises:
        UserError: the evaluations have different images or classes.
    """
    if set(first.classes) != set(second.classes):
        own = sorted(set(first.classes) ^ set(second.classes))[0]
        raise UserError(f"the networks have different classes: only one of them knows {own!r}")
    if not (_true(first) == _true(second) and first.files == second.files):
        raise UserError(
            f"the networks were measured on different images ({first.num_images:,} and "
            f"{second.num_images:,}): compare them on images that neither trained on"
        )
    right = first.predicted == first.labels
    theirs = second.predicted == second.labels
    counts = np.array(
        [[np.sum(mine & other) for other in (theirs, ~theirs)] for mine in (right, ~right)]
    )
    only_first, only_second = int(counts[0, 1]), int(counts[1, 0])
    return Comparison(
        first,
        second,
        counts,
        mcnemar(only_first, only_second),
        difference_interval(only_first, only_second, first.num_images),
    )


def mcnemar(only_first: int, only_second: int) -> float:
    """The p-value of McNemar's exact test, two-sided.

    Args:
        only_first, only_second: how many images only that network classifies correctly.
    """
    from scipy.stats import binomtest

    differing = only_first + only_second
    return float(binomtest(only_first, differing).pvalue) if differing else 1.0


def difference_interval(only_first: int, only_second: int, count: int) -> tuple[float, float]:
    """The 95% interval of the second network's accuracy minus the first's, over `count` images.

    This is Wald's interval for matched pairs with half an image added to each of the four cells
    (Agresti and Min, 2005), which also holds for few images.
    """
    count += 2
    lead = (only_second - only_first) / count
    variance = (only_first + only_second + 1) / count - lead**2
    half = Z * math.sqrt(variance / count)
    return lead - half, lead + half


def _confidence(evaluation: Evaluation) -> np.ndarray:
    return evaluation.probabilities.max(axis=1)


def _true(evaluation: Evaluation) -> list[str]:
    return np.array(evaluation.classes)[evaluation.labels].tolist()
