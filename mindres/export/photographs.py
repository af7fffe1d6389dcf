"""Writes files that take photographs, and proves them on the user's own images."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path

import numpy as np

from mindres.data.as_trained import shorter_side
from mindres.export import proof
from mindres.export.end_to_end import end_to_end
from mindres.weights.metadata import Metadata


@dataclass
class Exported:
    """A file that was written; the rest is known of one that takes photographs.

    images: how many it was compared on with the network.
    same_top: for how many of them the likeliest class is the same.
    difference: the largest difference of a probability.
    rows: the table: the network in MindSpore, and the file.
    """

    path: Path
    images: int = 0
    same_top: int = 0
    difference: float = 0.0
    rows: list[proof.Row] = field(default_factory=list)

    def to_json(self) -> dict:
        return {
            "images": self.images,
            "same_top": self.same_top,
            "difference": self.difference,
            "table": [row.to_json() for row in self.rows],
        }

    def __str__(self) -> str:
        return (
            f"the likeliest class is the network's for {self.same_top:,} of {self.images:,} "
            f"images, probabilities differ by {self.difference:.1e} at most\n"
            f"{proof.table(self.rows)}"
        )


def write_end_to_end(kind, core, draft: Path, net, metadata: Metadata, data, path) -> Exported:
    """Write `core`, an ONNX file of normalised images to logits, as one that takes photographs.

    Args:
        kind: the module of the format.
        core: what `kind` makes the file `draft` of.
        net: the network, to compare with.
        metadata: how its images are prepared.
        data: an `ImageDataset` to compare on, or None.
        path: where the file goes, for messages.
    """
    import onnx

    whole = end_to_end(onnx.load(core), metadata, shorter_side(metadata))
    kind.from_onnx(whole, draft)
    file = kind.load_end_to_end(draft)
    network = proof.network_answer(net, metadata)
    answers = (network, lambda images: np.stack([file.answer(image) for image in images]))
    ours, theirs = proof.all_answers(_images(data), *answers)
    if reason := proof.disagreement(theirs, ours):
        raise RuntimeError(f"{path} was not written: {reason}")
    some = [image for image, _ in islice(_images(data), proof.BATCH)]
    rows = [
        proof.measure("MindSpore", None, network, some, ours),
        proof.measure(file.name, file.bytes, file.answer_all, some, theirs),
    ]
    return Exported(
        path, len(ours.probabilities), theirs.same_top(ours), theirs.difference(ours), rows
    )


def _images(data) -> Iterable[proof.Labelled]:
    return proof.made_up_images() if data is None else proof.raw_images(data)
