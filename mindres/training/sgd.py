"""Stochastic gradient descent with momentum."""

from __future__ import annotations

from mindspore import nn


def momentum_or_nesterov(parameters, rates, weight_decay, momentum, nesterov):
    """`nn.Momentum`, or `nn.SGD` where Nesterov's momentum is asked for."""
    if nesterov:
        # nn.Momentum's CPU kernel takes `use_nesterov` and ignores it.
        return nn.SGD(parameters, rates, momentum, weight_decay=weight_decay, nesterov=True)
    return nn.Momentum(parameters, rates, momentum, weight_decay=weight_decay)
