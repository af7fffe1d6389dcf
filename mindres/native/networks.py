"""The native cells, by which `accelerated` replaces parts of networks.

Each class here becomes a base of the cell's class together with the original one (`stand_in`), so
that the cell remains an instance of that. Parameters and child cells are the cell's own; further
attributes (`operator`, `settings`, ...) are set by `accelerate`.
"""

from __future__ import annotations

import functools

from mindspore import nn

from mindres.models.layers import check_channels
from mindres.native import custom


@functools.cache
def stand_in(native, kind):
    """A class with the `construct` of `native` for a cell of class `kind`."""
    return type(f"{native.__name__}_{kind.__name__}", (native, kind), {})


class NativeConv2d(nn.Cell):
    """An `nn.Conv2d` with the `operator` from `operators.convolution`.

    Channels are checked, because the operator would mistake additional ones for groups.
    """

    def construct(self, x):
        check_channels(x.shape, self.in_channels)
        if not custom.computes(x.dtype, self.weight.dtype):
            x = self.conv2d(x, self.weight)
            return self.bias_add(x, self.bias) if self.has_bias else x
        if self.has_bias:
            return self.operator(x, self.weight, self.settings, self.bias)
        return self.operator(x, self.weight, self.settings)


class NativeConvNorm(nn.Cell):
    """Convolution, batch normalisation and optional ReLU, the cells of `features`.

    The output is blocked if `chained`, else plain.
    """

    def construct(self, x):
        y = self.blocked(x, ())
        return y if self.chained else self.to_plain(y)

    def blocked(self, x, identity):
        """relu(norm(convolution(x)) + identity), with blocked output and identity.

        `identity` is a tuple of one tensor, or an empty one.
        """
        check_channels(x.shape, self.features[0].in_channels)
        weight, norm = self.features[0].weight, self.features[1]
        statistics = (norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance)
        of_the_batch = norm.use_batch_statistics
        if of_the_batch is None:
            of_the_batch = self.training
        if of_the_batch:
            z = self.convolution(x, weight, self.settings)
            operator = self.norm_plus if identity else self.norm
            return operator(z, *statistics, self.settings, *identity)[0]
        operator = self.convolution_norm_plus if identity else self.convolution_norm
        return operator(x, weight, *statistics, self.settings, *identity)


class NativeResidualBlock(nn.Cell):
    """A residual block on blocked tensors.

    `branch` names its convolutions. The shortcut runs on plain tensors if `plain_shortcut`. With
    `forks` a native operator adds the gradients of branch and shortcut.
    """

    def construct(self, x):
        identity = x
        if self.forks:
            x, identity = self.fork(x)
        if self.down_sample is not None:
            identity = self.shortcut(identity)
        for name in self.branch[:-1]:
            x = getattr(self, name)(x)
        return getattr(self, self.branch[-1]).blocked(x, (identity,))

    def shortcut(self, x):
        if self.plain_shortcut:
            return self.to_blocked(self.down_sample(self.to_plain(x)))
        return self.down_sample(x)


class NativeBackbone(nn.Cell):
    """A backbone whose cells `plain_part` run on plain tensors, and then `blocked_part`."""

    def construct(self, x):
        for name in self.plain_part:
            x = getattr(self, name)(x)
        if self.reorders_input:
            x = self.to_blocked(x)
        for name in self.blocked_part:
            x = getattr(self, name)(x)
        return self.to_plain(x)
