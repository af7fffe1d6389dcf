"""Puts the native operators into networks, for the time of a block, on CPU.

    with accelerated(net):
        ...  # train, evaluate

Names, weights and results stay what they are. Outside the block the network is the one that it was, so that it can be
exported. Where the operators cannot be had (see `native.why_not`) the block changes nothing.
"""

from __future__ import annotations

import itertools
import weakref
from contextlib import contextmanager

import mindspore
from mindspore import nn
from mindvision.classification.models.blocks import ConvNormActivation

from mindres.models.cifar_resnet import CifarResNet, PadShortcut
from mindres.models.inception import ConvNorm
from mindres.models.resnet import ResidualBlock, ResidualBlockBase, ResNet
from mindres.native import operators


class NativeConv2d(nn.Conv2d):
    """An `nn.Conv2d` with the `operator` from `native.convolution`."""

    def construct(self, x):
        if x.dtype != mindspore.float32 or self.weight.dtype != mindspore.float32:
            x = self.conv2d(x, self.weight)
            return self.bias_add(x, self.bias) if self.has_bias else x
        if self.has_bias:
            return self.operator(x, self.weight, self.settings, self.bias)
        return self.operator(x, self.weight, self.settings)


class NativeConvNorm(nn.Cell):
    """Convolution, batch normalisation and perhaps ReLU, as `features`; its result is blocked if `chained`."""

    def construct(self, x):
        y = self.blocked(x)
        return y if self.chained else self.to_plain(y)

    def blocked(self, x, identity=None):
        """relu(norm(convolution(x)) + identity), blocked, as is the identity."""
        weight, norm = self.features[0].weight, self.features[1]
        batch_statistics = (
            self.training if norm.use_batch_statistics is None else norm.use_batch_statistics
        )
        if batch_statistics:
            z = self.convolution(x, weight, self.settings)
            if identity is None:
                return self.norm(
                    z, norm.gamma, norm.beta, norm.moving_mean, norm.moving_variance, self.settings
                )[0]
            return self.norm_plus(
                z,
                norm.gamma,
                norm.beta,
                norm.moving_mean,
                norm.moving_variance,
                self.settings,
                identity,
            )[0]
        if identity is None:
            return self.convolution_norm(
                x,
                weight,
                norm.gamma,
                norm.beta,
                norm.moving_mean,
                norm.moving_variance,
                self.settings,
            )
        return self.convolution_norm_plus(
            x,
            weight,
            norm.gamma,
            norm.beta,
            norm.moving_mean,
            norm.moving_variance,
            self.settings,
            identity,
        )


class NativePadShortcut(PadShortcut):
    """The shortcut between blocked tensors."""

    def construct(self, x):
        return self.to_blocked(self.shortcut(self.to_plain(x)))


class NativeBlockBase(nn.Cell):
    """A `ResidualBlockBase` between blocked tensors."""

    def construct(self, x):
        identity = x if self.down_sample is None else self.down_sample(x)
        return self.conv2.blocked(self.conv1(x), identity)


class NativeBlock(nn.Cell):
    """A `ResidualBlock` between blocked tensors."""

    def construct(self, x):
        identity = x if self.down_sample is None else self.down_sample(x)
        return self.conv3.blocked(self.conv2(self.conv1(x)), identity)


class NativeResNet(nn.Cell):
    """A `ResNet` whose four stages are blocked."""

    def construct(self, x):
        x = self.to_blocked(self.max_pool(self.conv1(x)))
        return self.to_plain(self.layer4(self.layer3(self.layer2(self.layer1(x)))))


class NativeCifarResNet(nn.Cell):
    """A `CifarResNet` that is blocked from its first convolution on."""

    def construct(self, x):
        return self.to_plain(self.layer3(self.layer2(self.layer1(self.conv1(x)))))


STAGES = ("layer1", "layer2", "layer3", "layer4")
BACKBONES = {ResNet: NativeResNet, CifarResNet: NativeCifarResNet}
BLOCKS = {ResidualBlock: NativeBlock, ResidualBlockBase: NativeBlockBase}
_numbers = weakref.WeakKeyDictionary()  # of the cells that have been seen
_next_number = itertools.count(1)


@contextmanager
def accelerated(*nets, fixed=False):
    """Inside the block, `nets` run with the native operators, where these can be had; blocks may nest.

    In graph mode convolution, normalisation and ReLU become one operator, and whole ResNets stay in oneDNN's memory
    layout; in PyNative mode, where one can look at every tensor, convolutions alone are replaced. Graphs that were
    compiled inside stay compiled, and are used again the next time. `fixed` says that no weight changes inside.
    """
    cells = (
        []
        if operators.why_not()
        else list(dict.fromkeys(cell for net in nets for _, cell in net.cells_and_names()))
    )
    for cell in cells:
        if cell not in _numbers:
            _numbers[cell] = next(_next_number)
            cell.compile_cache.clear()  # graphs without the operators would be taken for the ones with them
    changes = _changes(cells)
    before = {cell: type(cell) for cell in changes}
    for cell, (kind, attributes) in changes.items():
        cell.__class__ = kind
        vars(cell).update(
            attributes
        )  # not set as attributes: a cell keeps operators that are in a list
    try:
        with operators.fixed([_numbers[cell] for cell in changes] if fixed else []):
            yield
    finally:
        for cell, (_, attributes) in changes.items():
            cell.__class__ = before[cell]
            for name in attributes:
                del vars(cell)[name]


def _changes(cells) -> dict:
    """For each of `cells` that can be replaced, the class it becomes and the attributes it is given."""
    changes = {}
    for cell in cells:
        if type(cell) is nn.Conv2d and cell.mixed_precision_type is None:
            changes[cell] = (
                NativeConv2d,
                {
                    "operator": operators.convolution(cell),
                    "settings": operators.settings(cell, _numbers[cell]),
                },
            )
    if mindspore.get_context("mode") == mindspore.GRAPH_MODE:
        for cell in cells:
            if _fits(cell):
                changes[cell] = _conv_norm(
                    cell, x_blocked=False, relu=len(cell.features) == 3, chained=False
                )
        for cell in cells:
            if type(cell) in BACKBONES and (chain := _chain(cell)):
                changes.update(chain)
    return changes


def _fits(cell) -> bool:
    """Whether `cell` is a convolution and its normalisation that the operators can do."""
    block = operators.load()[2]
    if type(cell) not in (ConvNormActivation, ConvNorm) or not block:
        return False
    kinds = tuple(type(part) for part in cell.features)
    return (
        kinds in ((nn.Conv2d, nn.BatchNorm2d), (nn.Conv2d, nn.BatchNorm2d, nn.ReLU))
        and not cell.features[0].has_bias
        and cell.features[0].out_channels % block == 0
        and cell.features[0].weight.dtype == mindspore.float32
        and all(part.mixed_precision_type is None for part in (cell, *cell.features))
    )


def _conv_norm(cell, x_blocked, relu, chained):
    convolution, norm = cell.features[0], cell.features[1]
    return NativeConvNorm, {
        "convolution": operators.convolution(convolution),
        "norm": operators.norm(),
        "norm_plus": operators.norm(True),
        "convolution_norm": operators.convolution_norm(convolution),
        "to_plain": operators.reorders()[1],
        "chained": chained,
        "convolution_norm_plus": operators.convolution_norm(convolution, True),
        "settings": operators.settings(convolution, _numbers[cell], x_blocked, True, norm, relu),
    }


def _chain(backbone) -> dict:
    """The changes that keep the stages of `backbone` blocked; none if one of its parts is unknown."""
    to_blocked, to_plain = operators.reorders()
    reorders = {"to_blocked": to_blocked, "to_plain": to_plain}
    changes = {backbone: (BACKBONES[type(backbone)], reorders)}
    if isinstance(backbone, CifarResNet):
        if not _fits(backbone.conv1):
            return {}
        changes[backbone.conv1] = _conv_norm(
            backbone.conv1, x_blocked=False, relu=True, chained=True
        )
    for block in (
        block for stage in STAGES if hasattr(backbone, stage) for block in getattr(backbone, stage)
    ):
        if type(block) not in BLOCKS:
            return {}
        changes[block] = BLOCKS[type(block)], {}
        names = (
            ["conv1", "conv2"] if type(block) is ResidualBlockBase else ["conv1", "conv2", "conv3"]
        )
        parts = [getattr(block, name) for name in names]
        if type(block.down_sample) is PadShortcut:
            changes[block.down_sample] = NativePadShortcut, reorders
        elif block.down_sample is not None:
            parts.append(block.down_sample)
        for part in parts:
            if not _fits(part) or part.features[0].in_channels % operators.load()[2]:
                return {}
            # The block's own ReLU follows the addition to its last convolution.
            changes[part] = _conv_norm(
                part,
                True,
                relu=len(part.features) == 3 or part is getattr(block, names[-1]),
                chained=True,
            )
    return changes
