"""Writes end-to-end files, which take whole images, and verifies them on the user's images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from mindres.data.as_trained import preprocess
from mindres.errors import UserError
from mindres.export import int8, proof
from mindres.weights.metadata import Metadata

CALIBRATION = 256  # training images that determine the ranges of int8
MOST_LOST = 0.005  # largest loss of accuracy by int8, a fraction


@dataclass
class Exported:
    """A file that was written; all fields but `path` are of end-to-end files only.

    bytes: the size of the file, and of those beside it.
    images: the number of images on which it was compared with the network.
    same_top: for how many of them the predicted class is the same.
    difference: the largest difference of a probability.
    rows: the measurements of the network in MindSpore, of the file in float32, and in int8.
    in_float: the layers that int8 left in float32.
    """

    path: Path
    bytes: int = 0
    images: int = 0
    same_top: int = 0
    difference: float = 0.0
    rows: list[proof.Row] = field(default_factory=list)
    in_float: list[str] = field(default_factory=list)

    def to_json(self) -> dict:
        return {
            "images": self.images,
            "same_top": self.same_top,
            "difference": self.difference,
            "in_float": self.in_float,
            "table": [row.to_json() for row in self.rows],
        }

    def __str__(self) -> str:
        return (
            f"the predicted class is the network's for {self.same_top:,} of {self.images:,} "
            f"images, and probabilities differ by at most {self.difference:.1e}\n"
            f"{proof.table(self.rows)}"
        )


class Writer:
    """Turns a network from normalised images to logits into an end-to-end file.

    Args:
        kind: the module of the format.
        core: the network as `kind.write_end_to_end` takes it.
        draft: the path to write to.
        net: the network to compare with.
        metadata: how its images are prepared.
        data: an `ImageDataset` to compare on, or None for synthetic images.
        path: the final path of the file, for messages.
    """

    def __init__(self, kind, core, draft: Path, net, metadata: Metadata, data, path):
        self.kind, self.draft, self.path, self.data = kind, draft, path, data
        self.metadata = metadata
        self.core = core
        self.network = proof.network_answer(net, metadata)
        self.some = [image for image, _ in islice(self.images(), proof.BATCH)]

    def write(self) -> Exported:
        """Write the file in float32; raises RuntimeError if it does not agree with the network."""
        file = self.made(self.core)
        answers = (self.network, lambda images: np.stack([file.answer(image) for image in images]))
        ours, self.answers = proof.all_answers(self.images(), *answers)
        if reason := proof.disagreement(self.answers, ours):
            raise RuntimeError(f"{self.path} was not written: {reason}")
        rows = [
            proof.measure("MindSpore", None, self.network, self.some, ours),
            proof.measure(file.name, file.bytes, file.answer_all, self.some, self.answers),
        ]
        same, difference = self.answers.same_top(ours), self.answers.difference(ours)
        return Exported(self.path, 0, len(ours.probabilities), same, difference, rows)

    def write_int8(self, calibration, exported: Exported) -> None:
        """Replace the file by one in int8, and add its measurements to `exported`.

        The most sensitive layers are left in float32 until little accuracy is lost.

        Args:
            calibration: an `ImageDataset` of training images; None for synthetic images.
            exported: the result of `write`.

        Raises:
            UserError: int8 is slower here than float32, or too much accuracy is lost.
        """
        images = islice(_images(calibration, CALIBRATION), CALIBRATION)
        prepared = np.stack([preprocess(image, self.metadata) for image, _ in images])
        in_float: list[str] = []
        layers = None
        while True:
            file = self.made(int8.quantised(self.core, prepared, in_float))
            (answers,) = proof.all_answers(self.images(), file.answer_all)
            if (lost := proof.lost(answers, self.answers)) <= MOST_LOST:
                break
            layers = layers or int8.by_sensitivity(self.core, prepared)
            in_float = layers[: 2 * len(in_float) + 1]
            if len(in_float) == len(layers):  # no layer would be left in int8
                raise UserError(
                    f"int8 loses {lost:.1%} of accuracy even with most layers in float32: nothing "
                    "was written; leave out `int8`"
                )
        row = proof.measure(file.name, file.bytes, file.answer_all, self.some, answers)
        if row.ms_of_32 >= exported.rows[-1].ms_of_32:
            raise UserError(
                f"int8 is slower here than float32, {row.ms_of_32:.1f} ms for 32 images instead of "
                f"{exported.rows[-1].ms_of_32:.1f}: nothing was written; leave out `int8`"
            )
        exported.rows.append(row)
        exported.in_float = in_float

    def made(self, core):
        """Write the end-to-end file, and load it again."""
        self.kind.write_end_to_end(core, self.draft, self.metadata)
        return self.kind.load_end_to_end(self.draft)

    def images(self) -> Iterable[proof.Labelled]:
        return _images(self.data, proof.MOST_IMAGES)


def _images(data, most: int) -> Iterable[proof.Labelled]:
    return proof.made_up_images() if data is None else proof.raw_images(data, most)
