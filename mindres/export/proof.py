"""Verifies that an end-to-end file agrees with `mindres predict`, and measures both."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from itertools import islice
from typing import NamedTuple

import numpy as np
from mindspore import dataset as ds
from PIL import Image
from tqdm import tqdm

from mindres.data.as_trained import preprocess
from mindres.evaluation.predictor import predict

MOST_IMAGES = 2000
BATCH = 32
TOLERANCE = 1e-3  # largest difference of a probability
TIE = 1e-4  # probabilities that differ by less count as equal
SECONDS = 1.0  # time to measure a figure of the table

Labelled = tuple[np.ndarray, int | None]
# The probabilities (N, classes) of uint8 RGB images (H, W, 3).
Answer = Callable[[list[np.ndarray]], np.ndarray]


class Row(NamedTuple):
    """A line of the table: the measurements of a file, or of the network in MindSpore."""

    format: str
    bytes: int | None
    ms_of_1: float
    ms_of_32: float
    accuracy: float | None

    @property
    def images_per_second(self) -> float:
        return BATCH / self.ms_of_32 * 1000

    def to_json(self) -> dict:
        return {**self._asdict(), "images_per_second": self.images_per_second}


@dataclass
class Answers:
    """The probabilities of images, float (N, classes), and their labels, int (N,), or None."""

    probabilities: np.ndarray
    labels: np.ndarray | None

    @property
    def accuracy(self) -> float | None:
        right = self.probabilities.argmax(axis=1) == self.labels
        return None if self.labels is None else float(right.mean())

    def same_top(self, other: Answers) -> int:
        """The number of images for which the predicted class is the same."""
        tops = (each.probabilities.argmax(axis=1) for each in (self, other))
        return int(np.equal(*tops).sum())

    def difference(self, other: Answers) -> float:
        """The largest difference of a probability."""
        return float(np.abs(self.probabilities - other.probabilities).max())


def raw_images(data, most=MOST_IMAGES) -> Iterator[Labelled]:
    """Yield up to `most` evenly spaced images of an `ImageDataset`, uint8 RGB, and labels."""
    data = data.plain()
    indices = data.indices()
    indices = np.arange(len(data.labels())) if indices is None else np.sort(indices)
    chosen = indices[np.linspace(0, len(indices) - 1, min(most, len(indices))).astype(int)]
    source = data.source(ds.SubsetSampler(chosen.tolist()))
    for image, label in source.create_tuple_iterator(num_epochs=1, output_numpy=True):
        yield np.broadcast_to(image, (*image.shape[:2], 3)).copy(), int(label)


def made_up_images(count=24) -> Iterator[Labelled]:
    """Yield synthetic images of many sizes, without labels."""
    random = np.random.default_rng(0)
    for _ in range(count):
        width, height = (int(side) for side in random.integers(16, 600, 2))
        small = random.integers(0, 256, (*random.integers(2, 24, 2), 3), np.uint8)
        yield (
            np.asarray(Image.fromarray(small).resize((width, height), Image.Resampling.BICUBIC)),
            None,
        )


def network_answer(net, metadata) -> Answer:
    """The function of `mindres predict` from images to probabilities."""

    def answer(images):
        prepared = np.stack([preprocess(image, metadata) for image in images])
        return predict(net, prepared, metadata).probabilities

    return answer


def all_answers(images: Iterable[Labelled], *answers: Answer) -> list[Answers]:
    """The results of each of `answers` for all images, which are processed in batches."""
    found: list[list[np.ndarray]] = [[] for _ in answers]
    labels: list[int | None] = []
    for batch in tqdm(_batches(images), desc="comparing", unit="batch", disable=None, leave=False):
        for answer, parts in zip(answers, found):
            parts.append(answer([image for image, _ in batch]))
        labels += [label for _, label in batch]
    known = None if None in labels else np.array(labels)
    return [Answers(np.concatenate(parts), known) for parts in found]


def disagreement(file: Answers, net: Answers) -> str | None:
    """How the predictions of a file differ from those of the network; None if they agree."""
    difference = file.difference(net)
    if not difference <= TOLERANCE:
        return f"its probabilities are off by {difference:.3g}"
    two = -np.sort(-net.probabilities, axis=1)[:, :2]
    clear = np.ptp(two, axis=1) > TIE
    other = file.probabilities.argmax(axis=1) != net.probabilities.argmax(axis=1)
    if (wrong := int((clear & other).sum())) > 0:
        return f"the predicted class of {wrong:,} of {len(two):,} images is another one"
    return None


def lost(file: Answers, other: Answers) -> float:
    """The accuracy that a file loses against another; without labels, how often they differ."""
    if file.accuracy is None or other.accuracy is None:
        return 1 - file.same_top(other) / len(file.probabilities)
    return other.accuracy - file.accuracy


def measure(format: str, size: int | None, answer: Answer, images, answers: Answers) -> Row:
    """A row of the table, timed on `images`, which are repeated to fill a batch."""
    batch = [images[i % len(images)] for i in range(BATCH)]
    one, all_ = (_milliseconds(lambda some=some: answer(some)) for some in (batch[:1], batch))
    return Row(format, size, one, all_, answers.accuracy)


def table(rows: list[Row]) -> str:
    """The rows as text."""
    lines = ["format                       size  1 image  32 images  images/s  accuracy"]
    for row in rows:
        size = f"{row.bytes / 1e6:,.1f} MB" if row.bytes else ""
        accuracy = "" if row.accuracy is None else f"{row.accuracy:.2%}"
        lines.append(
            f"{row.format:21} {size:>11} {row.ms_of_1:5.1f} ms {row.ms_of_32:7.1f} ms "
            f"{row.images_per_second:9,.0f} {accuracy:>9}"
        )
    return "\n".join(line.rstrip() for line in lines)


def _batches(images: Iterable[Labelled]) -> Iterator[list[Labelled]]:
    images = iter(images)
    while batch := list(islice(images, BATCH)):
        yield batch


def _milliseconds(function) -> float:
    """The median time of a call after a first call."""
    function()
    times: list[float] = []
    end = time.perf_counter() + SECONDS
    while len(times) < 3 or (time.perf_counter() < end and len(times) < 100):
        start = time.perf_counter()
        function()
        times.append(time.perf_counter() - start)
    return float(np.median(times)) * 1000
