"""Folds batch normalisation into convolutions, which speeds inference up."""

from __future__ import annotations

import copy

import mindspore
import numpy as np
from mindspore import Parameter, Tensor, nn


def fold_batch_norm(net):
    """A copy of `net` for inference with batch normalisation folded into its convolutions.

    Each `nn.BatchNorm2d` after an `nn.Conv2d` in a `SequentialCell` is folded: all of them in the
    networks of this package. The logits are the same up to rounding. `net` does not change, and
    the copy does not share its weights.
    """
    folded = copy.deepcopy(net)
    for _, sequence in list(folded.cells_and_names()):
        if isinstance(sequence, nn.SequentialCell):
            for i, (convolution, norm) in enumerate(zip(list(sequence), list(sequence)[1:])):
                if isinstance(convolution, nn.Conv2d) and isinstance(norm, nn.BatchNorm2d):
                    _fold(convolution, norm)
                    sequence[i + 1] = nn.Identity()
    folded.set_train(False)
    return folded


def _fold(convolution, norm) -> None:
    gamma, beta, mean, variance = (
        p.asnumpy().astype(np.float64)
        for p in (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
    )
    scale = gamma / np.sqrt(variance + norm.eps)
    weight = convolution.weight
    if convolution.has_bias:
        mean = mean - convolution.bias.asnumpy()
    else:
        convolution.has_bias = True
        convolution.bias = Parameter(
            Tensor(np.zeros(len(scale)), weight.dtype),
            name=f"{weight.name.removesuffix('weight')}bias",
        )
    weight.set_data(Tensor(weight.asnumpy() * scale[:, None, None, None], weight.dtype))
    convolution.bias.set_data(Tensor(beta - mean * scale, mindspore.float32).astype(weight.dtype))
