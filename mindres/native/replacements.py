"""Which cells of a network are replaced by native ones, and with which operators.

These cells can be replaced:
- an `nn.Conv2d`;
- a convolution, its normalisation and optional ReLU: `ConvNormActivation` and `ConvNorm`;
- a residual block: a class with `branch`, the names of its convolutions in order. Its `construct`
  must be relu(branch(x) + shortcut), where the shortcut is `down_sample`, or x if that is None;
- a backbone: a class with `sequence`, the names of the cells that its `construct` calls in order.
  The stages of residual blocks at its end keep the memory layout and the element type of the
  operators.
A subclass with its own `construct` must define `branch` or `sequence` again to be replaced.
"""

from __future__ import annotations

import mindspore
from mindspore import nn
from mindvision.classification.models.blocks import ConvNormActivation

from mindres.models.layers import ConvNorm
from mindres.native import geometry, library, operators
from mindres.native.geometry import Layout
from mindres.native.networks import (
    NativeBackbone,
    NativeConv2d,
    NativeConvNorm,
    NativeResidualBlock,
)


class Replacements:
    """Chooses the native class and the attributes of cells; its methods return dicts by cell.

    Args:
        numbers: a number for each cell, by which its reordered weights may be kept.
        dtype: the element type of convolutions and blocked activations.
    """

    def __init__(self, numbers, dtype):
        self.numbers, self.dtype = numbers, dtype
        self.block = library.load().blocks[dtype]
        self.to_blocked, self.to_plain = operators.reorders(dtype)

    def convolution(self, cell) -> dict:
        """The replacement of `cell` on plain tensors, if it is a convolution."""
        if not _is_like(cell, nn.Conv2d) or cell.mixed_precision_type is not None:
            return {}
        attributes = {
            "operator": operators.convolution(cell),
            "settings": geometry.settings(cell, self.numbers[cell], Layout(self.dtype)),
        }
        return {cell: (NativeConv2d, attributes)}

    def fused(self, cell) -> dict:
        """The replacement of `cell` on plain tensors, if it is a convolution and normalisation."""
        return self._conv_norm(cell, chained=False) if self._fits(cell) else {}

    def chain(self, backbone) -> dict:
        """The replacements of `backbone` and its last stages, if these are of residual blocks."""
        if not _defines(backbone, "sequence"):
            return {}
        changes, plain_part = {}, list(backbone.sequence)
        while plain_part and (stage := self._stage(getattr(backbone, plain_part[-1]))):
            changes.update(stage)
            plain_part.pop()
        if not changes:
            return {}
        blocked_part = backbone.sequence[len(plain_part) :]
        # A convolution before the stages can return a blocked tensor directly.
        stem = getattr(backbone, plain_part[-1]) if plain_part else None
        if stem is not None and self._fits(stem):
            changes.update(self._conv_norm(stem))
        attributes = {
            "plain_part": tuple(plain_part),
            "blocked_part": tuple(blocked_part),
            "reorders_input": stem not in changes,
            "to_blocked": self.to_blocked,
            "to_plain": self.to_plain,
        }
        return {**changes, backbone: (NativeBackbone, attributes)}

    def _stage(self, stage) -> dict:
        """The replacements of a sequence of residual blocks; none if a block cannot be replaced."""
        changes = {}
        if not _is_like(stage, nn.SequentialCell):
            return {}
        for block in stage:
            if not (block_changes := self._residual_block(block)):
                return {}
            changes.update(block_changes)
        return changes

    def _residual_block(self, block) -> dict:
        if not _defines(block, "branch"):
            return {}
        branch, shortcut = [getattr(block, name) for name in block.branch], block.down_sample
        if not all(self._fits(part, x_blocked=True) for part in branch):
            return {}
        changes = {}
        for part in branch:
            # The block's own ReLU follows the addition to its last convolution.
            changes.update(self._conv_norm(part, x_blocked=True, adds_relu=part is branch[-1]))
        plain_shortcut = shortcut is not None and not self._fits(shortcut, x_blocked=True)
        if shortcut is not None and not plain_shortcut:
            changes.update(self._conv_norm(shortcut, x_blocked=True))
        attributes = {
            "plain_shortcut": plain_shortcut,
            "to_blocked": self.to_blocked,
            "to_plain": self.to_plain,
            "fork": operators.fork(),
            "forks": self.dtype != mindspore.float32,
        }
        return {**changes, block: (NativeResidualBlock, attributes)}

    def _fits(self, cell, x_blocked=False) -> bool:
        """Whether `cell` is a convolution and normalisation that the operators support."""
        if not _is_like(cell, ConvNormActivation, ConvNorm):
            return False
        parts = list(cell.features)
        kinds = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)
        return (
            len(parts) in (2, 3)
            and all(_is_like(part, kind) for part, kind in zip(parts, kinds))
            and not parts[0].has_bias
            and parts[0].weight.dtype == mindspore.float32
            and geometry.blockable(parts[0], self.block)
            and (not x_blocked or parts[0].in_channels % self.block == 0)
            and all(part.mixed_precision_type is None for part in (cell, *parts))
        )

    def _conv_norm(self, cell, x_blocked=False, chained=True, adds_relu=False) -> dict:
        convolution, norm = cell.features[0], cell.features[1]
        number, layout = self.numbers[cell], Layout(self.dtype, x_blocked, True)
        relu = adds_relu or len(cell.features) == 3
        attributes = {
            "convolution": operators.convolution(convolution, self.dtype),
            "norm": operators.norm(),
            "norm_plus": operators.norm(True),
            "convolution_norm": operators.convolution_norm(convolution, False, self.dtype),
            "convolution_norm_plus": operators.convolution_norm(convolution, True, self.dtype),
            "settings": geometry.settings(convolution, number, layout, norm, relu),
            "to_plain": self.to_plain,
            "chained": chained,
        }
        return {cell: (NativeConvNorm, attributes)}


def _is_like(cell, *kinds) -> bool:
    """Whether `cell` is of one of `kinds`, or of a subclass with the same `construct`."""
    return any(isinstance(cell, kind) and type(cell).construct is kind.construct for kind in kinds)


def _defines(cell, name) -> bool:
    """Whether the class that defines the `construct` of `cell`, or a subclass, defines `name`."""
    for kind in type(cell).__mro__:
        if name in vars(kind):
            return True
        if "construct" in vars(kind):
            return False
    return False
