"""Puts the native operators into networks, for the time of a block, on CPU.

    with accelerated(net):
        ...  # train, evaluate

Names, weights and results stay what they are. Outside the block the network is the one that it was,
so that it can be exported. Where the operators cannot be used (see `library.why_not`) the block
changes nothing. What is replaced stands in `replacements`.
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

# How much is replaced; each step includes those before it.
STEPS = ("convolutions", "fused", "chained")
# Of the cells that have been seen.
_numbers: weakref.WeakKeyDictionary = weakref.WeakKeyDictionary()
_next_number = itertools.count(1)
_inside: weakref.WeakSet = weakref.WeakSet()  # cells that are inside a block


@contextmanager
def accelerated(*nets, fixed=False, dtype=mindspore.float32, step="chained"):
    """Inside the block, `nets` run with the native operators, where these can be used.

    In graph mode convolution, normalisation and ReLU become one operator, and whole residual
    networks stay in oneDNN's memory layout. In PyNative mode, where one can look at every tensor,
    convolutions alone are replaced. Blocks may nest. Graphs that were compiled inside are used
    again inside the next block, and never outside.

    Args:
        nets: the networks, or any cells that contain them.
        fixed: whether no weight changes inside: then weights are reordered once.
        dtype: the element type in which convolutions compute, `mindspore.float32` or `bfloat16`.
            Activations between fused operators have it too. Weights, statistics and gradients of
            weights are float32 all the same, and so is what goes into the networks and comes out.
        step: how much is replaced, one of `STEPS`: convolutions alone; "fused" with their
            normalisation and ReLU, in plain layout; or "chained", all of it. For benchmarks.
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
