"""Reads the loss and the number of steps from the state of a training step."""

from __future__ import annotations


def steps_at_once(state) -> int:
    """The number of steps per callback of a step: a whole epoch with data sinking."""
    return state.batch_num if state.get("dataset_sink_mode") else 1


def loss_of(outputs) -> float:
    """The loss among the outputs of a training step."""
    return float((outputs[0] if isinstance(outputs, tuple) else outputs).asnumpy())
