"""The sides of the CPU benchmark: a row each, with a function that does a step of a case.

A new side is a row of SIDES. A case is (what, network, size, batch): "train" or "infer", the name of
the network, the side of the square images, and the batch size.
"""

from __future__ import annotations

import functools
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from importlib.util import find_spec
from pathlib import Path
from typing import NamedTuple

import numpy as np

from benchmarks.limit import limit_step
from mindres.devices import cpu

INFER = ("infer",)
TRAIN_AND_INFER = ("train", "infer")


class Side(NamedTuple):
    """A row: `step(what, network, size, batch, stack, folder)` returns a function that does a step.

    The function waits for its results. Contexts to leave at the end are put on `stack`, and files
    are in `folder`. The table names the best side of each `group`. `there` says whether the side is
    available on this machine. A slow side gets `most_images` in a batch, if that is not 0.
    """

    about: str
    does: tuple[str, ...]
    step: Callable
    environment: dict[str, str] = {}
    group: str = ""
    there: Callable[[], bool] = lambda: True
    most_images: int = 0


def random_batch(network: str, size: int, batch: int):
    """Images, float32 (batch, channels, size, size), and labels (batch,)."""
    random = np.random.default_rng(0)
    channels = 1 if network == "convnet" else 3
    images = random.standard_normal((batch, channels, size, size), np.float32)
    return images, random.integers(0, 10, batch)


def mindspore_step(
    what, network, size, batch, stack: ExitStack, folder="", *, native="chained", amp_level="O0"
):
    """mindres as `mindres.train` and `mindres.evaluate` run it.

    `native` is how much of the network the native operators replace (`accelerated`).
    """
    import mindres

    net = mindres.create_model(network, num_classes=10)
    return _mindspore_step(net, what, network, size, batch, stack, native, amp_level)


def mindcv_step(what, network, size, batch, stack: ExitStack, folder=""):
    """MindCV's network, or mindres's if MindCV has none."""
    import mindres  # isort: skip  before mindcv, which imports mindspore
    import mindcv

    create = mindcv.create_model if mindcv.is_model(network) else mindres.create_model
    net = create(network, num_classes=10)
    return _mindspore_step(net, what, network, size, batch, stack, "chained")


def _mindspore_step(net, what, network, size, batch, stack, native, amp_level="O0"):
    import mindspore
    from mindspore import nn

    from mindres.native import accelerated, precision
    from mindres.training import recipes, step

    images, labels = random_batch(network, size, batch)
    images, labels = mindspore.Tensor(images), mindspore.Tensor(labels, mindspore.int32)
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    net.set_train(what == "train")
    dtype = precision.element_type(precision.resolve_amp(amp_level))
    stack.enter_context(accelerated(net, fixed=what == "infer", dtype=dtype, step=native))
    if what == "infer":
        return lambda: net(images).asnumpy()
    optimizer = nn.Momentum(net.trainable_params(), 0.001, 0.9)
    one_step = step.training_step(net, optimizer, recipes.make_recipe("tutorial")).set_train()
    return lambda: one_step(images, labels).asnumpy()


def torch_step(
    what, network, size, batch, stack, folder, *, compiled=False, channels_last=False, bf16=False
):
    """PyTorch with a network that has torchvision's layers."""
    import torch

    from benchmarks import torch_resnet

    net = getattr(torch_resnet, network)(num_classes=10)
    images, labels = map(torch.from_numpy, random_batch(network, size, batch))
    if channels_last:
        net = net.to(memory_format=torch.channels_last)
        images = images.to(memory_format=torch.channels_last)
    net.train(what == "train")
    if compiled and what == "infer":
        import torch._inductor.config

        torch._inductor.config.freezing = True
    forward = torch.compile(net) if compiled else net
    optimizer = torch.optim.SGD(net.parameters(), 0.001, 0.9)
    precision = functools.partial(torch.autocast, "cpu", torch.bfloat16, enabled=bf16)

    def train():
        optimizer.zero_grad(set_to_none=True)
        with precision():
            logits = forward(images)
        loss = torch.nn.functional.cross_entropy(logits.float(), labels)
        loss.backward()
        optimizer.step()
        return loss.item()

    def infer():
        with torch.no_grad(), precision():
            return forward(images).float().numpy()

    return train if what == "train" else infer


def exported(network: str, size: int, folder: str) -> Path:
    """The ONNX file that mindres writes, made by another process, whose memory is not counted."""
    path = Path(folder) / f"{network}-{size}.onnx"
    if not path.exists():
        code = (
            f"import mindres; net = mindres.create_model({network!r}, num_classes=10); "
            f"mindres.export_model(net, {str(path)!r}, metadata={{'input_size': ({size}, {size})}})"
        )
        subprocess.run([sys.executable, "-c", code], check=True, stdout=subprocess.DEVNULL)
    return path


def onnxruntime_step(what, network, size, batch, stack, folder):
    """ONNX Runtime with the network that `mindres export` wrote."""
    import onnxruntime

    path = str(exported(network, size, folder))
    session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
    images, _ = random_batch(network, size, batch)
    return lambda: session.run(["logits"], {"input": images})[0]


def openvino_step(what, network, size, batch, stack, folder, *, precision="f32"):
    """OpenVINO with the network that `mindres export` wrote."""
    import openvino

    images, _ = random_batch(network, size, batch)
    core = openvino.Core()
    model = core.read_model(str(exported(network, size, folder)))
    model.reshape(list(images.shape))
    net = core.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": precision})
    return lambda: net(images)[0]


def _has_openvino() -> bool:
    return find_spec("openvino") is not None


_NO_OPERATORS = {"MINDRES_NATIVE": "0"}
# The limit that mindres sets when MindSpore is imported would bind PyTorch's oneDNN, too.
_NO_LIMIT = {"ONEDNN_MAX_CPU_ISA": "DEFAULT"}
_AS_IT_COMES = {**_NO_OPERATORS, **_NO_LIMIT}
_torch = functools.partial(functools.partial, torch_step)
_native = functools.partial(functools.partial, mindspore_step)
# The first is compared with the others.
SIDES = {
    "mindres": Side(
        "step 4: whole residual networks in oneDNN's layout, in float32",
        TRAIN_AND_INFER,
        mindspore_step,
    ),
    "mindres bf16": Side(
        "the same with `amp_level` O2, bfloat16",
        TRAIN_AND_INFER,
        _native(amp_level="O2"),
        group="mindres, bfloat16",
        there=cpu.has_bfloat16,
    ),
    "MindSpore": Side(
        "as it comes, with MindCV's network, or mindres's where MindCV has none; batches of 2",
        TRAIN_AND_INFER,
        mindcv_step,
        _AS_IT_COMES,
        group="plain MindSpore",
        most_images=2,
    ),
    "capped": Side(
        "step 1: mindres without native operators, MindSpore's oneDNN kept to AVX2",
        TRAIN_AND_INFER,
        mindspore_step,
        _NO_OPERATORS,
    ),
    "convolutions": Side(
        "step 2: native operators for convolutions alone",
        TRAIN_AND_INFER,
        _native(native="convolutions"),
    ),
    "fused": Side(
        "step 3: convolution, normalisation and ReLU in one; plain layouts between",
        TRAIN_AND_INFER,
        _native(native="fused"),
    ),
    "PyTorch": Side("eager, float32", TRAIN_AND_INFER, torch_step, _NO_LIMIT, group="PyTorch"),
    "channels last": Side(
        "PyTorch eager, channels last",
        TRAIN_AND_INFER,
        _torch(channels_last=True),
        _NO_LIMIT,
        group="PyTorch",
    ),
    "compiled": Side(
        "torch.compile, in inference frozen",
        TRAIN_AND_INFER,
        _torch(compiled=True),
        _NO_LIMIT,
        group="PyTorch",
    ),
    "PyTorch bf16": Side(
        "bfloat16 by autocast, channels last",
        TRAIN_AND_INFER,
        _torch(channels_last=True, bf16=True),
        _NO_LIMIT,
        group="PyTorch, bfloat16",
    ),
    "compiled bf16": Side(
        "the same with torch.compile, in inference frozen",
        TRAIN_AND_INFER,
        _torch(compiled=True, channels_last=True, bf16=True),
        _NO_LIMIT,
        group="PyTorch, bfloat16",
    ),
    "ONNX Runtime": Side(
        "the network that `mindres export` wrote", INFER, onnxruntime_step, group="runtimes"
    ),
    "OpenVINO": Side(
        "the same file, in float32", INFER, openvino_step, group="runtimes", there=_has_openvino
    ),
    "OpenVINO bf16": Side(
        "the same file, in bfloat16",
        INFER,
        functools.partial(openvino_step, precision="bf16"),
        group="runtimes, bfloat16",
        there=_has_openvino,
    ),
    "limit": Side(
        "what oneDNN's primitives take alone, see benchmarks/limit.py",
        TRAIN_AND_INFER,
        limit_step,
        group="limit",
    ),
    "limit bf16": Side(
        "the same in bfloat16",
        TRAIN_AND_INFER,
        functools.partial(limit_step, dtype="bfloat16"),
        group="limit, bfloat16",
        there=cpu.has_bfloat16,
    ),
}
