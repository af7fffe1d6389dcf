"""The same numbers as the peers for the same weights: PyTorch's definitions both ways, and MindCV's networks."""

import mindspore
import numpy as np
import pytest
import safetensors.torch
import torch
import torch_reference
from mindspore import nn
from small_networks import narrow_classifiers

import mindres
from mindres import UserError
from mindres.compat import mindspore as private
from mindres.models import FAMILIES
from mindres.models.checkpoints import open_weights
from mindres.models.registry import family, list_models
from mindres.models.save import save_torch
from mindres.models.summary import count_parameters

# Relative to the largest logit.
TOLERANCE = 1e-4
# Odd sizes and unequal sides, where paddings differ most; all stages of a network still have several pixels.
SHAPES = {
    "lenet5": (1, 32, 32),
    "convnet": (1, 28, 28),
    "alexnet": (3, 67, 95),
    "vgg16": (3, 33, 66),
    "googlenet": (3, 65, 38),
    "inception_v3": (3, 107, 75),
}
EVERY = [
    *((arch, "B") for arch in list_models()),
    *((arch, "A") for arch in FAMILIES["cifar_resnet"]),
]
# These have more of the same blocks as others: their names and shapes are compared, not their logits.
MORE_OF_THE_SAME = {"resnet34", "resnet101", "resnet152"} | {*FAMILIES["cifar_resnet"]} - {
    "resnet20"
}
CASES = [case for case in EVERY if case[0] not in MORE_OF_THE_SAME]
NARROW = 96


@pytest.fixture
def narrow(monkeypatch):
    """Small hidden layers on both sides; names and shapes are also compared of the networks as they are."""
    narrow_classifiers(monkeypatch, NARROW)
    monkeypatch.setattr(torch_reference, "WIDTH", NARROW)


def images(shape, seed=0):
    return np.random.default_rng(seed).standard_normal((2, *shape)).astype(np.float32)


def shape_for(arch):
    return SHAPES.get(arch, (3, 30, 37))


def agree(ours, theirs):
    ours, theirs = (np.asarray(logits) for logits in (ours, theirs))
    assert ours.shape == theirs.shape and np.isfinite(theirs).all()
    assert np.abs(ours - theirs).max() <= TOLERANCE * np.abs(theirs).max()
    return True


def run(net, x):
    """Logits as NumPy, of a network of either framework."""
    if isinstance(net, torch.nn.Module):
        with torch.no_grad():
            return net(torch.from_numpy(x)).numpy()
    return net(mindspore.Tensor(x)).asnumpy()


def reference(arch, shortcut="B", **options):
    torch.manual_seed(1)
    return torch_reference.create(arch, shortcut, **options)


def options_for(arch, shortcut):
    return {"shortcut": "A"} if shortcut == "A" else {}


def loaded(path, arch, **options):
    """A network with the weights of a file, and the report, built without initial values."""
    net, _, report = open_weights(path, arch=arch, num_classes=11, **options)
    return net, report


@pytest.mark.parametrize("arch, shortcut", EVERY)
def test_pytorchs_names_and_shapes(arch, shortcut):
    with torch.device("meta"):
        theirs = reference(arch, shortcut, num_classes=11).state_dict()
    with private.without_initial_values():
        net = mindres.create_model(arch, num_classes=11, **options_for(arch, shortcut))
    naming = family(arch).pytorch_naming(net.architecture)
    assert {naming.name(p.name): tuple(p.shape) for p in net.get_parameters()} == {
        name: tuple(value.shape)
        for name, value in theirs.items()
        if not name.endswith("num_batches_tracked")
    }


@pytest.mark.parametrize("arch, shortcut", CASES)
def test_pytorch_both_ways(arch, shortcut, tmp_path, narrow):
    theirs = reference(arch, shortcut, num_classes=11)
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    net, report = loaded(tmp_path / "theirs.safetensors", arch, **options_for(arch, shortcut))
    assert not report.missing and len(report.loaded) == len(list(net.get_parameters()))
    assert set(report.skipped.values()) <= {"a counter that is not used here"}
    assert repr(report) == str(report), "a notebook shows it so"
    x = images(shape_for(arch))
    assert agree(run(net, x), run(theirs, x))
    assert net.architecture.get("pad_mode", "pad") == "pad"
    save_torch(net, tmp_path / "ours.safetensors")
    back = safetensors.torch.load_file(tmp_path / "ours.safetensors")
    assert back.keys() == theirs.state_dict().keys()
    assert all(torch.equal(back[name], value) for name, value in theirs.state_dict().items())
    if arch == "vgg16":
        timm_has_convolutions_for_fully_connected_layers(theirs, net, x, tmp_path)


def timm_has_convolutions_for_fully_connected_layers(theirs, net, x, tmp_path):
    """The weights of VGG-16 once more, as timm writes them."""
    state = theirs.state_dict()
    for name, timm, shape in (
        ("classifier.0", "pre_logits.fc1", (NARROW, 512, 7, 7)),
        ("classifier.3", "pre_logits.fc2", (NARROW, NARROW, 1, 1)),
        ("classifier.6", "head.fc", (11, NARROW)),
    ):
        state[f"{timm}.weight"] = state.pop(f"{name}.weight").reshape(shape)
        state[f"{timm}.bias"] = state.pop(f"{name}.bias")
    safetensors.torch.save_file(state, tmp_path / "theirs.safetensors")
    for parameter in net.get_parameters():
        parameter.set_data(mindspore.ops.zeros_like(parameter))
    assert not mindres.load_weights(net, tmp_path / "theirs.safetensors").missing
    assert agree(run(net, x), run(theirs, x))


@pytest.mark.parametrize("arch, size", [("googlenet", 64), ("inception_v3", 299)])
def test_auxiliary_classifiers(arch, size, tmp_path):
    theirs = reference(arch, num_classes=11)
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    net, _ = loaded(tmp_path / "theirs.safetensors", arch)
    x = images((3, size, size))
    theirs.training = True  # the network alone, not its normalisation and dropout
    with torch.no_grad():
        _, *expected = theirs(torch.from_numpy(x))
    features = net.backbone.stages(mindspore.Tensor(x))
    assert len(expected) == len(net.aux) == {"googlenet": 2, "inception_v3": 1}[arch]
    for head, given, wanted in zip(net.aux, features, expected):
        assert agree(head(given).asnumpy(), wanted.numpy())


@pytest.mark.parametrize("arch", ["resnet20", "googlenet"])
def test_gradients_of_a_training_step(arch, tmp_path):
    theirs = reference(arch, num_classes=5)
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    net = mindres.create_model(arch, num_classes=5)
    mindres.load_weights(net, tmp_path / "theirs.safetensors")
    x, y = images((3, 33, 36)), np.array([1, 3])
    theirs.zero_grad()
    torch.nn.functional.cross_entropy(theirs(torch.from_numpy(x)), torch.from_numpy(y)).backward()
    measure = nn.CrossEntropyLoss()
    weight = net.backbone.conv1.features[0].weight
    gradient = mindspore.grad(lambda image, label: measure(net(image), label), None, [weight])(
        mindspore.Tensor(x), mindspore.Tensor(y, mindspore.int32)
    )
    gradient = gradient[0] if isinstance(gradient, tuple) else gradient
    assert agree(
        gradient.asnumpy(),
        (theirs.conv1 if arch == "resnet20" else theirs.conv1.conv).weight.grad.numpy(),
    )


def test_the_checkpoint_remembers_how_to_pool(tmp_path):
    theirs = reference("resnet18", num_classes=3)
    safetensors.torch.save_file(theirs.state_dict(), tmp_path / "theirs.safetensors")
    net, x = mindres.resnet18(3), images((3, 64, 64))
    before = mindspore.get_context("mode")
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    try:
        run(net, x)  # so that there is a graph of the old pooling
        mindres.load_weights(net, tmp_path / "theirs.safetensors")
        assert agree(run(net, x), run(theirs, x))
    finally:
        mindspore.set_context(mode=before)
    mindres.save_checkpoint(net, tmp_path / "file.ckpt")
    again, metadata = mindres.load_model(tmp_path / "file.ckpt")
    assert metadata["architecture"]["pad_mode"] == again.architecture["pad_mode"] == "pad"
    assert agree(run(again, x), run(theirs, x))
    same = mindres.resnet18(3)
    mindres.load_weights(same, tmp_path / "file.ckpt")
    assert same.architecture["pad_mode"] == "pad"
    same.backbone.set_pad_mode("same")
    assert np.abs(run(same, x) - run(theirs, x)).max() > TOLERANCE * np.abs(run(theirs, x)).max(), (
        "it does matter"
    )


def test_a_convolution_bias_before_batch_normalisation(tmp_path):
    theirs = reference("resnet20", num_classes=10, bias=True)
    assert sum(parameter.numel() for parameter in theirs.parameters()) == 272_490
    torch.save(theirs.state_dict(), tmp_path / "theirs.pt")
    net, x = mindres.resnet20(), images((3, 32, 32))
    report = mindres.load_weights(net, tmp_path / "theirs.pt")
    assert report.skipped["backbone.conv1.features.0.bias"].startswith("subtracted from the mean")
    assert agree(run(net, x), run(theirs, x))


def mindcv_network(arch, **options):
    """MindCV's network with random statistics of batch normalisation too."""
    import mindcv

    mindspore.set_seed(2)
    net = mindcv.create_model(arch, **options).set_train(False)
    rng = np.random.default_rng(3)
    for parameter in net.get_parameters():
        low, high = {
            "moving_mean": (-0.2, 0.2),
            "moving_variance": (0.5, 1.5),
            "gamma": (0.5, 1.5),
            "beta": (-0.2, 0.2),
        }.get(parameter.name.rpartition(".")[2], (None, None))
        if low is not None:
            parameter.set_data(
                mindspore.Tensor(rng.uniform(low, high, parameter.shape).astype(np.float32))
            )
    return net


@pytest.fixture
def narrow_in_mindcv(narrow, monkeypatch):
    """MindCV's VGG-16 with hidden layers as small."""
    from mindcv.models.vgg import VGG

    initialise = VGG._initialize_weights

    def narrowed(self):
        widths = {0: (512 * 7 * 7, NARROW), 3: (NARROW, NARROW), 6: (NARROW, 11)}
        for place, (inputs, outputs) in widths.items():
            self.classifier[place] = nn.Dense(inputs, outputs)
        self.classifier.update_parameters_name("classifier.")
        initialise(self)

    monkeypatch.setattr(VGG, "_initialize_weights", narrowed)


@pytest.mark.parametrize(
    "arch, shape",
    [
        ("resnet18", (3, 64, 50)),
        ("resnet50", (3, 64, 50)),
        ("resnext50_32x4d", (3, 64, 50)),
        ("inception_v3", (3, 107, 80)),
        ("vgg16", (3, 224, 224)),
    ],
)
def test_mindcv(arch, shape, tmp_path, narrow_in_mindcv):
    theirs = mindcv_network(arch, num_classes=11)
    path, x = tmp_path / "theirs.ckpt", images(shape)[:1]
    mindspore.save_checkpoint(theirs, str(path))
    expected = run(theirs, x)
    del theirs
    net, report = loaded(path, arch)
    assert agree(run(net, x), expected)
    assert net.architecture.get("pad_mode", "same") == "same" and not report.skipped
    if arch == "vgg16":
        assert (
            set(report.missing.values()) == {"trained without bias: zero"}
            and len(report.missing) == 13
        )
        assert not any(net.backbone.features[i].bias.asnumpy().any() for i in (0, 2, 28))
    else:
        assert not report.missing


@pytest.mark.parametrize("arch", ["resnet34", "resnet101", "resnet152"])
def test_mindcvs_names_and_shapes(arch):
    import mindcv

    with private.without_initial_values():
        theirs, net = mindcv.create_model(arch), mindres.create_model(arch)
    naming = family(arch).namings["mindcv"]
    assert {naming.name(p.name): p.shape for p in net.get_parameters()} == {
        p.name: p.shape for p in theirs.get_parameters()
    }


def test_mindcv_googlenet_is_refused_with_the_reason(tmp_path):
    import mindcv

    theirs = mindcv_network("googlenet", num_classes=11)
    mindspore.save_checkpoint(theirs, str(tmp_path / "theirs.ckpt"))
    net = mindres.googlenet(11)
    with pytest.raises(
        UserError,
        match=r"is MindCV's GoogLeNet, which has no batch normalisation \(6,991,272 param",
    ):
        mindres.load_weights(net, tmp_path / "theirs.ckpt")
    with private.without_initial_values():
        assert count_parameters(mindcv.create_model("googlenet")) == 6_991_272


@pytest.mark.parametrize(
    "arch, options, shape",
    [
        ("resnet18", {}, (3, 64, 50)),
        ("resnet50", {}, (3, 64, 50)),
        ("lenet5", {"num_channel": 1}, (1, 32, 32)),
    ],
)
def test_mindvision(arch, options, shape, tmp_path):
    from mindvision.classification import models

    theirs = getattr(models, arch.removesuffix("5") if arch == "lenet5" else arch)(
        num_classes=10, **options
    )
    theirs.set_train(False)
    mindspore.save_checkpoint(theirs, str(tmp_path / "theirs.ckpt"))
    net, x = mindres.create_model(arch, num_classes=10), images(shape)
    report = mindres.load_weights(net, tmp_path / "theirs.ckpt")
    assert agree(run(net, x), run(theirs, x))
    # MindVision's LeNet has no biases at its convolutions.
    assert list(report.missing) == (
        ["backbone.conv1.bias", "backbone.conv2.bias"] if arch == "lenet5" else []
    )
