"""Continues a finished run with more epochs."""

from __future__ import annotations

import numpy as np


def ended_after(recorded: dict, config: dict) -> int:
    """The number of epochs of a finished run that is to have more; 0 for any other run.

    Args:
        recorded: the state in the `last.ckpt` of the run.
        config: the settings of the present run.
    """
    theirs = recorded["config"].get("epochs") or 0
    more = config.get("epochs", 0) > theirs
    return theirs if more and 0 < theirs <= recorded["epoch"] else 0


def own_rates(parameters: dict, prefix: str) -> dict[str, np.ndarray]:
    """The learning rates of the present schedule by name; MindSpore keeps them as parameters."""
    return {
        name: parameter.asnumpy()
        for name, parameter in parameters.items()
        if name.startswith(f"{prefix}learning_rate")
    }


def sentence(ended: int, epochs: int) -> str:
    """A line on how the run continues."""
    return (
        f"the run had ended after {ended} epochs; from now on the learning rate is that of a run "
        f"of {epochs}, so that it may rise before it falls to its end"
    )
