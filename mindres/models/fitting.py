"""Matches the parameters of a file with those of a network, and reports what does not fit."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field

import numpy as np

from mindres.weights.naming import CLASSIFIER

# `last.ckpt` has the optimizer's state under "optimizer.". The other names are those of version
# 0.1.0 and of MindSpore's own training checkpoints.
OPTIMIZER_STATE = re.compile(
    r"^(optimizer|moments|moment1|moment2|adam_m|adam_v|accum|accumulated|stat|ema|momentum|learning_rate|"
    r"global_step|beta[12]_power)\b"
)


@dataclass(repr=False)
class Report:
    """What `load_weights` returns: the parameters loaded, skipped and missing, with reasons.

    Parameters of the file that were not used are skipped, those of the network that the file lacks
    are missing.
    """

    source: str
    loaded: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    missing: dict[str, str] = field(default_factory=dict)

    def __str__(self):
        lines = [f"{len(self.loaded)} parameters loaded from {self.source}"]
        titles = {"not taken from the file": self.skipped, "not loaded": self.missing}
        for title, reasons in titles.items():
            for reason in dict.fromkeys(reasons.values()):
                names = [name for name in reasons if reasons[name] == reason]
                more = f" and {len(names) - 2} more" if len(names) > 2 else ""
                lines.append(f"  {title}: {', '.join(names[:2])}{more} ({reason})")
        return "\n".join(lines)

    __repr__ = __str__  # what a notebook shows


def is_optimizer_state(name: str) -> bool:
    """Whether a parameter of a file is part of an optimizer's state."""
    return bool(OPTIMIZER_STATE.match(name))


class Fitting:
    """The assignment of a file's arrays to the parameters of a network.

    Args:
        found: the arrays of the file, under our names.
        wanted: the parameters of the network by name.
        report: gets what is loaded, skipped and missing.

    Attributes:
        values: the arrays for the network's parameters by name.
        problems: why the file does not fit the network; empty if it does.
    """

    def __init__(self, found: dict, wanted: dict, report: Report):
        self.found = found
        self.wanted = wanted
        self.report = report
        self.values: dict[str, np.ndarray] = {}
        self.problems: list[str] = []
        self.biases: dict[str, np.ndarray] = {}  # that the network's convolutions lack
        for name, value in found.items():
            if name in wanted:
                self._take(name, value)
            else:
                self._leave(name, value)
        for name in wanted:
            self._account_for(name)
        for name, bias in self.biases.items():
            self._cancel(name, bias)

    def _take(self, name, value) -> None:
        """Take an array for a parameter of the network, if its shape fits."""
        shape = tuple(self.wanted[name].shape)
        if value.ndim == 4 and len(shape) == 2 and value.size == math.prod(shape):
            # timm's VGG has convolutions in place of fully connected layers.
            value = value.reshape(shape)
        if value.shape == shape:
            self.values[name] = value
        elif CLASSIFIER.match(name) and value.shape[1:] == shape[1:]:
            self.report.skipped[name] = (
                f"the file has {value.shape[0]} classes, the network {shape[0]}"
            )
        else:
            self.problems.append(f"{name} is {value.shape} in the file and {shape} in the network")

    def _leave(self, name, value) -> None:
        """Skip an array that the network has no parameter for, or record a problem."""
        if name.endswith("num_batches_tracked"):
            self.report.skipped[name] = "a counter that is not used here"
        elif is_optimizer_state(name):
            self.report.skipped[name] = "optimizer state"
        elif name.lower().startswith("aux") and not _has_auxiliary(self.wanted):
            self.report.skipped[name] = "the network has no auxiliary classifiers"
        elif name.endswith(".features.0.bias"):
            self.biases[name] = value
        else:
            self.problems.append(f"the network has no {name}")

    def _account_for(self, name) -> None:
        """Report a parameter of the network as loaded or missing, or record a problem."""
        if name in self.values:
            self.report.loaded.append(name)
        elif name in self.report.skipped:
            self.report.missing[name] = self.report.skipped.pop(name)
        elif CLASSIFIER.match(name) or (name.startswith("aux.") and not _has_auxiliary(self.found)):
            self.report.missing[name] = "kept as initialised"
        elif self._is_bias_of_a_convolution(name):
            self.values[name] = np.zeros(self.wanted[name].shape, np.float32)
            self.report.missing[name] = "trained without bias: zero"
        elif name not in self.found:
            self.problems.append(f"the file has no {name}")

    def _is_bias_of_a_convolution(self, name) -> bool:
        """Whether the file lacks the bias `name` of a convolution whose weight it has."""
        weight = self.values.get(f"{name.removesuffix('bias')}weight")
        lacks = name.endswith(".bias") and name not in self.found
        return lacks and weight is not None and weight.ndim == 4

    def _cancel(self, name, bias) -> None:
        """Subtract a bias from the mean of the following batch normalisation."""
        mean = f"{name.removesuffix('0.bias')}1.moving_mean"
        if mean in self.values and bias.shape == self.values[mean].shape:
            self.values[mean] = self.values[mean] - bias
            self.report.skipped[name] = "subtracted from the mean of the batch normalisation"
        else:
            self.problems.append(f"the network has no {name}")


def _has_auxiliary(names) -> bool:
    return any(name.startswith("aux.") for name in names)
