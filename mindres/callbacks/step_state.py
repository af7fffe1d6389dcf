"""What callbacks read from a training step: loss, learning rate, steps."""

from __future__ import annotations


def steps_at_once(state) -> int:
    """How many steps the callbacks of a step stand for: a whole epoch where data sinks."""
    return state.batch_num if state.get("dataset_sink_mode") else 1


def loss_of(outputs) -> float:
    """The loss among the outputs of a training step."""
    return float((outputs[0] if isinstance(outputs, tuple) else outputs).asnumpy())
