"""Puts the native operators into networks, for the time of a block, on CPU.

    with accelerated(net):
        ...  # train, evaluate

Names, weights and results stay what they are. Outside the block the network is the one that it was,
so that it can be exported. Where the operators cannot be used (see `library.why_not`) the block
changes nothing.

What can be replaced follows from what a cell is, or says of itself:
- an `nn.Conv2d`;
- a convolution, its normalisation and perhaps ReLU: `ConvNormActivation` and `ConvNorm`;
- a residual block: a class with `branch`, the names of its convolutions in their order. Its
  `construct` is relu(branch(x) + shortcut), and its shortcut `down_sample`, or x if that is None;
- a backbone: a class with `sequence`, the names of the cells that its `construct` calls one after
  the other. From the first of them after which all are convolutions or stages of residual blocks,
  activations stay in oneDNN's memory layout.
A subclass with a `construct` of its own must say `branch` or `sequence` anew to be replaced.
"""

from __future__ import annotations

import itertools
import weakref
from contextlib import contextmanager

import mindspore
from mindspore import nn
from mindvision.classification.models.blocks import ConvNormActivation

from mindres.compat import mindspore as private
from mindres.models.layers import ConvNorm
from mindres.native import geometry, library, operators
from mindres.native.networks import (
    NativeBackbone,
    NativeConv2d,
    NativeConvNorm,
    NativeResidualBlock,
    stand_in,
)

# What is replaced; each step includes those before it.
STEPS = ("convolutions", "fused", "chained")
# Of the cells that have been seen.
_numbers: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_next_number = itertools.count(1)
_inside: weakref.WeakSet = weakref.WeakSet()  # cells that are inside a block


@contextmanager
def accelerated(*nets, fixed=False, step="chained"):
    """Inside the block, `nets` run with the native operators, where these can be used.

    In graph mode convolution, normalisation and ReLU become one operator, and whole residual
    networks stay in oneDNN's memory layout. In PyNative mode, where one can look at every tensor,
    convolutions alone are replaced. Blocks may nest. Graphs that were compiled inside are used
    again inside the next block, and never outside.

    Args:
        nets: the networks, or any cells that contain them.
        fixed: whether no weight changes inside: then weights are reordered once.
        step: how much is replaced, one of `STEPS`: convolutions alone; "fused" with their
            normalisation and ReLU, in plain layout; or "chained", all of it. For benchmarks.
    """
    cells = []
    if not library.why_not():
        cells = list(dict.fromkeys(cell for net in nets for _, cell in net.cells_and_names()))
    for cell in cells:
        if cell not in _numbers:
            _numbers[cell] = next(_next_number)
    changes = _changes(cells, STEPS.index(step))
    before = {cell: type(cell) for cell in changes}
    entering = [cell for cell in cells if cell not in _inside]
    _inside.update(entering)
    for cell in entering:
        private.renew_graph(cell, 1 + STEPS.index(step))
    for cell, (native, attributes) in changes.items():
        cell.__class__ = stand_in(native, type(cell))
        # `Cell.__setattr__` would register operators as child cells, which stay when deleted.
        vars(cell).update(attributes)
    try:
        with library.weights_kept([_numbers[cell] for cell in changes] if fixed else []):
            yield
    finally:
        for cell, (_, attributes) in changes.items():
            cell.__class__ = before[cell]
            for name in attributes:
                del vars(cell)[name]
        for cell in entering:
            private.renew_graph(cell, -1 - STEPS.index(step))
            _inside.discard(cell)


def _changes(cells, step) -> dict:
    """The native class and the attributes of each of `cells` that can be replaced."""
    changes = {}
    for cell in cells:
        if _is_like(cell, nn.Conv2d) and cell.mixed_precision_type is None:
            attributes = {
                "operator": operators.convolution(cell),
                "settings": geometry.settings(cell, _numbers[cell]),
            }
            changes[cell] = NativeConv2d, attributes
    if mindspore.get_context("mode") != mindspore.GRAPH_MODE or not step:
        return changes
    for cell in cells:
        if _fits(cell):
            changes[cell] = _conv_norm(cell, relu=len(cell.features) == 3)
    if step == STEPS.index("chained"):
        for cell in cells:
            changes.update(_chain(cell))
    return changes


def _is_like(cell, *kinds) -> bool:
    """Whether `cell` is of one of `kinds`, or of a subclass that computes the same."""
    return any(isinstance(cell, kind) and type(cell).construct is kind.construct for kind in kinds)


def _says(cell, name) -> bool:
    """Whether the class that defines the `construct` of `cell`, or a subclass, defines `name`."""
    for kind in type(cell).__mro__:
        if name in vars(kind):
            return True
        if "construct" in vars(kind):
            return False
    return False


def _fits(cell) -> bool:
    """Whether `cell` is a convolution and its normalisation that the operators can do."""
    if not _is_like(cell, ConvNormActivation, ConvNorm):
        return False
    parts = list(cell.features)
    kinds = (nn.Conv2d, nn.BatchNorm2d, nn.ReLU)
    return (
        len(parts) in (2, 3)
        and all(_is_like(part, kind) for part, kind in zip(parts, kinds))
        and not parts[0].has_bias
        and parts[0].weight.dtype == mindspore.float32
        and geometry.blockable(parts[0], library.load().block)
        and all(part.mixed_precision_type is None for part in (cell, *parts))
    )


def _fits_chain(cell) -> bool:
    """Whether `cell` can be a blocked convolution of blocked activations."""
    return _fits(cell) and cell.features[0].in_channels % library.load().block == 0


def _conv_norm(cell, relu, x_blocked=False, chained=False):
    convolution, norm = cell.features[0], cell.features[1]
    number = _numbers[cell]
    attributes = {
        "convolution": operators.convolution(convolution),
        "norm": operators.norm(),
        "norm_plus": operators.norm(True),
        "convolution_norm": operators.convolution_norm(convolution),
        "convolution_norm_plus": operators.convolution_norm(convolution, True),
        "settings": geometry.settings(convolution, number, x_blocked, True, norm, relu),
        "to_plain": operators.reorders()[1],
        "chained": chained,
    }
    return NativeConvNorm, attributes


def _chain(backbone) -> dict:
    """The changes that keep the last stages of `backbone` blocked; none without such stages."""
    if not _says(backbone, "sequence"):
        return {}
    changes, plain_part = {}, list(backbone.sequence)
    while plain_part and (stage := _stage(getattr(backbone, plain_part[-1]))):
        changes.update(stage)
        plain_part.pop()
    if not changes:
        return {}
    blocked_part = backbone.sequence[len(plain_part) :]
    # A convolution before the stages gives a blocked tensor at once.
    stem = getattr(backbone, plain_part[-1]) if plain_part else None
    if stem is not None and _fits(stem):
        changes[stem] = _conv_norm(stem, relu=len(stem.features) == 3, chained=True)
    to_blocked, to_plain = operators.reorders()
    attributes = {
        "plain_part": tuple(plain_part),
        "blocked_part": tuple(blocked_part),
        "reorders_input": stem not in changes,
        "to_blocked": to_blocked,
        "to_plain": to_plain,
    }
    return {**changes, backbone: (NativeBackbone, attributes)}


def _stage(stage) -> dict:
    """The changes that keep `stage` blocked; none if it is not a sequence of blocks that can be."""
    changes = {}
    if not _is_like(stage, nn.SequentialCell):
        return {}
    for block in stage:
        if not (block_changes := _residual_block(block)):
            return {}
        changes.update(block_changes)
    return changes


def _residual_block(block) -> dict:
    """The changes that keep a residual block blocked; none if a part does not fit."""
    if not _says(block, "branch"):
        return {}
    branch, shortcut = [getattr(block, name) for name in block.branch], block.down_sample
    if not all(_fits_chain(part) for part in branch):
        return {}
    changes = {}
    for part in branch:
        # The block's own ReLU follows the addition to its last convolution.
        relu = len(part.features) == 3 or part is branch[-1]
        changes[part] = _conv_norm(part, relu, x_blocked=True, chained=True)
    plain_shortcut = shortcut is not None and not _fits_chain(shortcut)
    if shortcut is not None and not plain_shortcut:
        relu = len(shortcut.features) == 3
        changes[shortcut] = _conv_norm(shortcut, relu, x_blocked=True, chained=True)
    to_blocked, to_plain = operators.reorders()
    attributes = {
        "plain_shortcut": plain_shortcut,
        "to_blocked": to_blocked,
        "to_plain": to_plain,
    }
    return {**changes, block: (NativeResidualBlock, attributes)}
