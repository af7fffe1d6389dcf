"""What callbacks read from a training step: loss, learning rate, steps."""

from __future__ import annotations


def steps_at_once(state) -> int:
    """How many steps the callbacks of a step stand for: a whole epoch where data sinks."""
    return state.batch_num if state.get("dataset_sink_mode") else 1


def loss_of(outputs) -> float:
    """The loss among the outputs of a training step."""
    return float((outputs[0] if isinstance(outputs, tuple) else outputs).asnumpy())


def learning_rate(optimizer) -> float:
    """The learning rate of the optimizer's last step, the highest of its groups of parameters."""
    rates = optimizer.learning_rate if optimizer.is_group_lr else [optimizer.learning_rate]
    if not optimizer.dynamic_lr:
        return max(float(rate.asnumpy()) for rate in rates)
    step = max(int(optimizer.global_step.asnumpy()[0]) - 1, 0)
    schedules = [rate.learning_rate.asnumpy() for rate in rates]
    return max(float(schedule[min(step, len(schedule) - 1)]) for schedule in schedules)
