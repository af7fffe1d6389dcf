"""The limit that oneDNN sets: the time of only a network's convolutions and normalisations.

Each uses the memory layout that oneDNN prefers for it, and the same element type. Nothing is
computed or copied between them, so the results are meaningless. No program that uses oneDNN with
this element type throughout can be faster.
"""

from __future__ import annotations

import ctypes
import os
import subprocess
import tempfile
from pathlib import Path

CPP = Path(__file__).with_name("limit.cc")


def convolutions(net, images):
    """(cell, shape of x, shape of y) of each convolution that `net(images)` calls."""
    from mindspore import nn

    found = []
    for _, cell in net.cells_and_names():
        if isinstance(cell, nn.Conv2d):
            cell.register_forward_hook(
                lambda cell, inputs, y: found.append((cell, inputs[0].shape, y.shape)) or y
            )
    net(images)
    return found


def limit_step(what, network, size, batch, stack, folder, *, dtype="float32"):
    """A step of all convolutions and normalisations, and in training of their gradients."""
    import mindspore
    from mindspore import nn, ops

    import mindres
    from mindres.native import build, geometry, library

    with tempfile.TemporaryDirectory() as place:
        path = Path(place) / "limit.so"
        options = (f"-I{build.CPP}", *build.NATIVE)
        command = [build.find_compiler(), *build.FLAGS, *options, str(CPP), "-o", str(path), "-ldl"]
        subprocess.run(command, check=True)
        limit = ctypes.CDLL(str(path))
    onednn = os.fsencode(library.onednn_path())
    assert limit.limit_open(onednn, len(os.sched_getaffinity(0))) == 0
    net = mindres.create_model(network, num_classes=10).set_train(False)
    channels = 1 if network == "convnet" else 3
    normalised = any(isinstance(cell, nn.BatchNorm2d) for _, cell in net.cells_and_names())
    layout = geometry.Layout(getattr(mindspore, dtype))
    for number, (cell, x, y) in enumerate(convolutions(net, ops.ones((1, channels, size, size)))):
        shapes = [(batch, *x[1:]), cell.weight.shape, (batch, *y[1:])]
        shapes = [(ctypes.c_int64 * 4)(*shape) for shape in shapes]
        settings = geometry.settings(cell, number, layout).asnumpy()
        address = settings.ctypes.data_as(ctypes.c_void_p)
        assert limit.limit_add(*shapes, address, what == "train", normalised) == 0
    return limit.limit_run
