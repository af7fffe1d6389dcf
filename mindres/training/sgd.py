"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from mindspore import nn, ops


def momentum_or_nesterov(parameters, rates, weight_decay, momentum, nesterov):
    """`nn.Momentum`, or `nn.SGD` for Nesterov momentum."""
    if nesterov:
        # The CPU kernel of nn.Momentum accepts `use_nesterov` and ignores it.
        optimizer = nn.SGD(parameters, rates, momentum, weight_decay=weight_decay, nesterov=True)
        for first in optimizer.stat:
            # 1 marks the first step, which is like all others where velocities begin at zero.
            first.set_data(ops.zeros_like(first))
        return optimizer
    return nn.Momentum(parameters, rates, momentum, weight_decay=weight_decay)
