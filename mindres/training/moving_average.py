"""The moving average of a network's weights."""

from __future__ import annotations

import copy


def averaged_copy(net):
    """A copy of `net` for its moving average; the names of its parameters begin with "ema."."""
    average = copy.deepcopy(net)
    average.parameter_prefix = "ema."
    for parameter in average.get_parameters():
        parameter.name = average.parameter_prefix + parameter.name
        parameter.requires_grad = False
    average.set_train(False)
    return average
