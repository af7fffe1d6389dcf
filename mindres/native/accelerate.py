"""Puts the native operators into networks within a block, on CPU.

    with accelerated(net):
        ...  # train, evaluate

Names, weights and results do not change. After the block the network is as it was before, so that
it can be exported. If the operators cannot be used (see `library.why_not`), the block changes
nothing. `replacements` says which cells are replaced.
"""

from __future__ import annotations

import itertools
import weakref
from contextlib import contextmanager

import mindspore

from mindres.compat import mindspore as private
from mindres.native import library
from mindres.native.networks import stand_in
from mindres.native.replacements import Replacements

# What is replaced; each step includes those before it.
STEPS = ("convolutions", "fused", "chained")
# A number for each cell that has been in a block.
_numbers: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_next_number = itertools.count(1)
_inside: weakref.WeakSet = weakref.WeakSet()  # cells that are inside a block


@contextmanager
def accelerated(*nets, fixed=False, dtype=mindspore.float32, step="chained"):
    """Run `nets` on the native operators in this block, if they can be used.

    In graph mode convolution, normalisation and ReLU become one operator, and whole residual
    networks stay in oneDNN's memory layout. In PyNative mode, where users can look at every tensor,
    only convolutions are replaced. Blocks may be nested. Graphs that were compiled in a block are
    used again in the next one, and never outside.

    Args:
        nets: the networks, or any cells that contain them.
        fixed: whether weights do not change in the block; they are then reordered only once.
        dtype: the element type of convolutions, `mindspore.float32` or `mindspore.bfloat16`, and of
            activations between fused operators. Weights, statistics, gradients of weights, and
            inputs and outputs of the networks stay float32.
        step: what is replaced, one of `STEPS`: "convolutions"; "fused" with their normalisation and
            ReLU, in plain layout; or "chained" in whole residual networks. For benchmarks.
    """
    cells = []
    if not library.why_not(dtype):
        cells = list(dict.fromkeys(cell for net in nets for _, cell in net.cells_and_names()))
    for cell in cells:
        if cell not in _numbers:
            _numbers[cell] = next(_next_number)
    changes = _changes(cells, step, dtype) if cells else {}
    before = {cell: type(cell) for cell in changes}
    entering = [cell for cell in cells if cell not in _inside]
    _inside.update(entering)
    version = 1 + STEPS.index(step) + len(STEPS) * list(library.ELEMENT_TYPES).index(dtype)
    for cell in entering:
        private.renew_graph(cell, version)
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
            private.renew_graph(cell, -version)
            _inside.discard(cell)


def _changes(cells, step, dtype) -> dict:
    """The native class and the attributes of each of `cells` that is replaced."""
    replacements = Replacements(_numbers, dtype)
    kinds = [replacements.convolution, replacements.fused, replacements.chain]
    last = STEPS.index(step)
    if mindspore.get_context("mode") != mindspore.GRAPH_MODE:
        last = STEPS.index("convolutions")
    changes = {}
    for kind in kinds[: last + 1]:
        for cell in cells:
            changes.update(kind(cell))
    return changes
