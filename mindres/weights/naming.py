"""Translates parameter names between mindres and other publishers.

A naming is a list of substitutions that turn our names into a publisher's, one after the other. To
read a file, the naming that recognises most of its names is inverted. Each family of networks has
its namings in its own file in `mindres/models`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

CLASSIFIER = re.compile(r"^(head|aux\.\d)\.dense\.")
BATCH_NORM = {
    "gamma": "weight",
    "beta": "bias",
    "moving_mean": "running_mean",
    "moving_variance": "running_var",
}
PREFIXES = ("module.", "_orig_mod.", "model.", "net.")


@dataclass(frozen=True)
class Naming:
    """A publisher's parameter names for a family of networks, and the padding of its pooling.

    Attributes:
        rules: patterns of our names and their replacements, applied one after the other.
        torch: whether the parameters of batch normalisation have PyTorch's names.
        pad_mode: padding of the pooling in the publisher's networks, "same" or "pad".
    """

    rules: list[tuple[str, str]]
    torch: bool = False
    pad_mode: str = "same"

    def name(self, ours: str) -> str:
        """This publisher's name for the parameter with our name `ours`."""
        for pattern, replacement in self.rules:
            ours = re.sub(pattern, replacement, ours)
        stem, _, last = ours.rpartition(".")
        return f"{stem}.{BATCH_NORM.get(last, last)}" if self.torch else ours


def without_prefixes(arrays: dict) -> dict:
    """`arrays` without the name prefixes of DataParallel, `torch.compile` and trainers."""
    while prefix := next(
        (prefix for prefix in PREFIXES if arrays and all(n.startswith(prefix) for n in arrays)),
        None,
    ):
        arrays = {name[len(prefix) :]: value for name, value in arrays.items()}
    return arrays


def translate(arrays: dict, ours, namings: Iterable[Naming]) -> tuple[dict, Naming]:
    """`arrays` under our names, and the naming that they had.

    Args:
        arrays: the parameters of a file by name. Unknown names stay as they are.
        ours: the names of the network's parameters.
        namings: the namings that the file may have.
    """
    # The file's convolutions may have biases that ours lack.
    ours = {*ours, *(f"{name[:-6]}bias" for name in ours if name.endswith("weight"))}
    tables = [(naming, {naming.name(name): name for name in ours}) for naming in namings]
    naming, table = max(tables, key=lambda pair: sum(name in pair[1] for name in arrays))
    return {table.get(name, name): value for name, value in arrays.items()}, naming
