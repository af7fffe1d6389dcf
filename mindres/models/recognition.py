"""Recognises the network of a weight file by the names and shapes of its parameters."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from mindres.models import registry
from mindres.weights.naming import Naming


@dataclass(frozen=True)
class Parameters:
    """The names and shapes of a file's parameters.

    Attributes:
        shapes: the shape of each parameter by its name in the file.
        namings: the namings that the file may have.
    """

    shapes: dict[str, tuple[int, ...]]
    namings: Iterable[Naming]

    def shape(self, ours: str) -> tuple[int, ...]:
        """The shape of the parameter with our name `ours`; () if the file has none."""
        names = (naming.name(ours) for naming in self.namings)
        return next((self.shapes[name] for name in names if name in self.shapes), ())

    def has(self, pattern: str) -> bool:
        """Whether the regular expression `pattern` matches in a name of the file."""
        return any(re.search(pattern, name) for name in self.shapes)

    def convolutions(self, kernel_size: int) -> int:
        """The number of convolutions with square kernels of `kernel_size`."""
        kernel = (kernel_size, kernel_size)
        return sum(len(shape) == 4 and shape[2:] == kernel for shape in self.shapes.values())

    def stage_depths(self) -> tuple[int, ...]:
        """The number of blocks in each residual stage."""
        blocks: dict[str, set[str]] = {}
        for name in self.shapes:
            if found := re.search(r"(?:^|\.)layer(\d)\.(\d+)\.", name):
                blocks.setdefault(found[1], set()).add(found[2])
        return tuple(len(blocks[stage]) for stage in sorted(blocks))


def identify(arrays: dict) -> dict:
    """The network of `arrays`, as options of `create_model` with its name as "arch".

    The dict is empty if no family recognises it.
    """
    shapes = {name: tuple(value.shape) for name, value in arrays.items()}
    for family in registry.families():
        parameters = Parameters(shapes, family.namings.values())
        stem = parameters.shape(family.stem)
        options = family.recognize(parameters) if len(stem) == 4 else {}
        if options:
            classifier = parameters.shape("head.dense.weight")
            classes = {"num_classes": classifier[0]} if len(classifier) == 2 else {}
            return {**options, "in_channels": stem[1], **classes}
    return {}
