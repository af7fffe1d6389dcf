"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from mindspore import nn


def momentum_or_nesterov(parameters, rates, weight_decay, momentum, nesterov):
    """`nn.Momentum`, or `nn.SGD` for Nesterov momentum."""
    if nesterov:
        # The CPU kernel of nn.Momentum accepts `use_nesterov` and ignores it.
        return nn.SGD(parameters, rates, momentum, weight_decay=weight_decay, nesterov=True)
    return nn.Momentum(parameters, rates, momentum, weight_decay=weight_decay)
