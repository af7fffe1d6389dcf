"""Goes on from a finished run with more epochs than it had."""

from __future__ import annotations

import numpy as np


def ended_after(recorded: dict, config: dict) -> int:
    """After how many epochs a finished run ended that is to have more; 0 for any other run.

    Args:
        recorded: the state in the `last.ckpt` of the run.
        config: what is asked for now.
    """
    theirs = recorded["config"].get("epochs") or 0
    more = config.get("epochs", 0) > theirs
    return theirs if more and 0 < theirs <= recorded["epoch"] else 0


def own_rates(parameters: dict, prefix: str) -> dict[str, np.ndarray]:
    """The learning rates of the present schedule, which MindSpore keeps as parameters, by name."""
    return {
        name: parameter.asnumpy()
        for name, parameter in parameters.items()
        if name.startswith(f"{prefix}learning_rate")
    }


def sentence(ended: int, epochs: int) -> str:
    """How the run goes on, in a line."""
    return (
        f"the run had ended after {ended} epochs; the learning rate is from now on that of a run "
        f"of {epochs}, so that it may rise before it falls to its end"
    )
