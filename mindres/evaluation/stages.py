"""The stages of a network and their feature maps."""

from __future__ import annotations

import contextlib

import mindspore
import numpy as np
from mindspore import Tensor, nn

from mindres.errors import UserError
from mindres.evaluation.inference import inference


def stages(net) -> dict[str, nn.Cell]:
    """The parts of the backbone in order, by name, such as `conv1` and `layer1` of a ResNet."""
    cells = net.backbone.name_cells()
    while len(cells) == 1:
        (only,) = cells.values()
        cells = only.name_cells()
    return cells


def stage_cell(net, name):
    cells = stages(net)
    if name not in cells:
        raise UserError(f"the network has no stage {name!r}: choose one of {', '.join(cells)}")
    return cells[name]


def stage_shapes(net, images):
    """The shape of each stage's maps, in the order of the calls, and the logits."""
    calls = []
    hook = lambda name: lambda cell, inputs, output: calls.append((name, output.shape))  # noqa: E731
    with hooked(stages(net), hook):
        scores = net(images).asnumpy()
    names = [name for name, _ in calls]
    # A cell that is called several times, such as a shared pooling, is not a stage.
    return {
        name: shape for name, shape in calls if len(shape) == 4 and names.count(name) == 1
    }, scores


def feature_maps(net, images, stage=None) -> tuple[str, np.ndarray]:
    """The name of `stage`, by default the first, and its feature maps, float (N, C, h, w)."""
    stage = stage or next(iter(stages(net)))
    seen = {}

    def keep(cell, inputs, output):
        seen["maps"] = output

    # MindSpore calls hooks in PyNative mode only.
    with (
        inference(net, mindspore.PYNATIVE_MODE),
        hooked({stage: stage_cell(net, stage)}, lambda name: keep),
    ):
        net(Tensor(np.asarray(images, np.float32)))
    return stage, seen["maps"].asnumpy()


def first_filters(net) -> np.ndarray:
    """The kernels of the first convolution: float (out, in, height, width)."""
    for _, cell in net.cells_and_names():
        if isinstance(cell, nn.Conv2d):
            return cell.weight.asnumpy()
    raise UserError(f"{type(net).__name__} has no convolution")


@contextlib.contextmanager
def hooked(cells, hook):
    handles = [cell.register_forward_hook(hook(name)) for name, cell in cells.items()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
