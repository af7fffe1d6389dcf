"""Training in bfloat16 against PyTorch's own, in float32 and in autocast's bfloat16.

Rounding grows from layer to layer, in networks of random weights to more than the gradient itself.
So ours may be as far from float32 as PyTorch's autocast is; where that is next to nothing, the
gradients' cosines are to be 0.999 and the losses within 2%, or 2% of the first one.

`make test-long` compares every family; `make test` those that compile in seconds.
"""

import copy
import os

import mindspore
import numpy as np
import pytest
import safetensors.torch
import torch
import torch_reference
from mindspore import nn
from small_networks import add_resnet8, narrow_classifiers

import mindres
from mindres.devices import cpu
from mindres.models.registry import family
from mindres.native import library
from mindres.native.accelerate import accelerated
from mindres.training import recipes, step

REASON = library.why_not(mindspore.bfloat16)
pytestmark = pytest.mark.skipif(REASON is not None, reason=f"no bfloat16: {REASON}")
# Network, options, channels, side of the images and how many are in a batch.
NETWORKS = {
    "lenet5": ("lenet5", {}, 1, 32, 16),
    "shortcut A": ("resnet8", {"shortcut": "A"}, 3, 32, 16),
}
OTHERS = {
    "resnet20 A": ("resnet20", {"shortcut": "A"}, 3, 32, 16),
    "resnet20 B": ("resnet20", {}, 3, 32, 16),
    "basic": ("resnet18", {}, 3, 64, 8),
    "bottleneck": ("resnet50", {}, 3, 64, 8),
    "wide": ("wide_resnet50_2", {}, 3, 64, 8),
    "grouped": ("resnext50_32x4d", {}, 3, 64, 8),
    "convnet": ("convnet", {}, 1, 28, 16),
    "alexnet": ("alexnet", {}, 3, 95, 8),
    "vgg16": ("vgg16", {}, 3, 64, 8),
    "googlenet": ("googlenet", {}, 3, 96, 8),
    "inception_v3": ("inception_v3", {}, 3, 299, 4),
}
if "TEST_LONG" in os.environ:
    NETWORKS |= OTHERS
STEPS, RATE = 10, 0.0002


def cosine(a, b):
    a, b = (np.asarray(x, np.float64).ravel() for x in (a, b))
    return a @ b / np.sqrt((a @ a) * (b @ b))


def batch(channels, side, count):
    random = np.random.default_rng(0)
    images = random.standard_normal((count, channels, side, side), np.float32)
    return images, random.integers(0, 10, count)


def calm(net):
    """Scale the branches of residual blocks down: else rounding errors grow from block to block."""
    for module in net.modules():
        if isinstance(module, torch_reference.Residual):
            torch.nn.init.constant_(getattr(module, f"bn{module.depth}").weight, 0.2)


def torch_training(net, images, labels, aux_weight, bfloat16):
    """The logits in inference, the first step's gradients, and the losses of all steps."""
    x, y = torch.from_numpy(images), torch.from_numpy(labels)
    precision = torch.autocast("cpu", torch.bfloat16, enabled=bfloat16)
    with torch.no_grad(), precision:
        logits = net.eval()(x).float().numpy()
    optimizer = torch.optim.SGD(net.parameters(), RATE, 0.9)
    gradients, losses = {}, []
    for _ in range(STEPS):
        optimizer.zero_grad()
        with precision:
            outputs = net.train()(x)
        outputs = outputs if isinstance(outputs, tuple) else (outputs,)
        each = [torch.nn.functional.cross_entropy(part.float(), y) for part in outputs]
        loss = each[0] + aux_weight * sum(each[1:])
        loss.backward()
        gradients = gradients or {n: p.grad.numpy().copy() for n, p in net.named_parameters()}
        optimizer.step()
        losses.append(loss.item())
    return logits, gradients, losses


def our_training(net, images, labels):
    """The same of mindres, by PyTorch's names. Momentum's first moments are the gradients."""
    x, y = mindspore.Tensor(images), mindspore.Tensor(labels, mindspore.int32)
    name = family(net.architecture["arch"]).pytorch_naming(net.architecture).name
    optimizer = nn.Momentum(net.trainable_params(), RATE, 0.9)
    one_step = step.training_step(net, optimizer, recipes.make_recipe("tutorial"))
    with accelerated(net, dtype=mindspore.bfloat16):
        logits = net.set_train(False)(x).asnumpy()
    gradients, losses = {}, []
    one_step.set_train()
    with accelerated(one_step, dtype=mindspore.bfloat16):
        for _ in range(STEPS):
            losses.append(float(one_step(x, y)))
            gradients = gradients or {
                name(p.name): m.asnumpy().copy()
                for p, m in zip(optimizer.parameters, optimizer.moments)
            }
    return logits, gradients, losses


def pair(arch, options, folder):
    """PyTorch's network and ours with the same weights, for a training without dropout."""
    torch.manual_seed(1)
    theirs = torch_reference.create(arch, options.get("shortcut", "B"), num_classes=10)
    calm(theirs)
    safetensors.torch.save_file(theirs.state_dict(), folder / "theirs.safetensors")
    net = mindres.create_model(arch, num_classes=10, **options)
    mindres.load_weights(net, folder / "theirs.safetensors")
    for _, cell in net.cells_and_names():
        if isinstance(cell, nn.Dropout):
            cell.p = 0.0
    return theirs, net


@pytest.mark.parametrize("network", NETWORKS.values(), ids=NETWORKS)
def test_a_training_is_as_near_to_float32_as_pytorchs(network, tmp_path, monkeypatch):
    arch, options, channels, side, count = network
    monkeypatch.setattr(torch.nn.functional, "dropout", lambda x, *_: x)
    add_resnet8(monkeypatch)
    narrow_classifiers(monkeypatch)
    monkeypatch.setattr(torch_reference, "WIDTH", 96)
    theirs, net = pair(arch, options, tmp_path)
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    images, labels = batch(channels, side, count)
    weight = getattr(net, "aux_weight", 0.0)
    ours = our_training(net, images, labels)
    # The limit that MindSpore's oneDNN needs binds PyTorch's too, whose bfloat16 is then emulated.
    monkeypatch.delenv(cpu.ISA, raising=False)
    rounded = torch_training(copy.deepcopy(theirs), images, labels, weight, True)
    exact = torch_training(theirs, images, labels, weight, False)
    off, allowed = (
        {k: 1 - cosine(each[1][k], exact[1][k]) for k in exact[1]} for each in (ours, rounded)
    )
    matrices = [name for name, value in exact[1].items() if value.ndim > 1]
    vectors = [name for name in off if name not in matrices]
    # Scales and shifts have few values: one of them may be off more than PyTorch's.
    mean_off, mean_allowed = (np.mean([each[name] for name in vectors]) for each in (off, allowed))
    worst_loss, their_worst = (
        max(abs(a / b - 1) for a, b in zip(each[2], exact[2])) for each in (ours, rounded)
    )
    print(
        f"\n{arch} {options}, mindres's and PyTorch's distance to float32: layers (1 - cosine) at "
        f"most {max(off[k] for k in matrices):.4f} and {max(allowed[k] for k in matrices):.4f}; "
        f"scales and shifts {mean_off:.4f} and {mean_allowed:.4f} in the mean; logits "
        f"{1 - cosine(ours[0], exact[0]):.1e} and {1 - cosine(rounded[0], exact[0]):.1e}; losses of "
        f"{len(exact[2])} steps at most {worst_loss:.2%} and {their_worst:.2%}",
        flush=True,
    )
    assert cosine(ours[0], exact[0]) > 0.999, "logits in inference"
    bound = max(0.02, 1.5 * their_worst)
    assert ours[2] == pytest.approx(exact[2], rel=bound, abs=0.02 * exact[2][0]), "losses"
    for name in matrices:
        assert off[name] <= max(0.001, 1.3 * allowed[name]), name
        length, their_length = (
            np.linalg.norm(each[1][name]) / np.linalg.norm(exact[1][name])
            for each in (ours, rounded)
        )
        # Rounding may change a gradient's length by as much as its direction.
        bound = max(0.05, 2 * abs(their_length - 1), allowed[name])
        assert length == pytest.approx(1, abs=bound), name
    assert mean_off <= max(0.001, 1.3 * mean_allowed)
