"""Every network of the zoo: its size, its parameter names, which are the checkpoint format, shapes and training."""

import hashlib

import mindspore
import numpy as np
import pytest
from mindspore import nn
from small_networks import narrow_classifiers, zero_model

import mindres
from mindres import UserError
from mindres.models.recognition import identify
from mindres.models.registry import family, list_models, network, networks
from mindres.models.summary import count_parameters, summarize
from mindres.weights.formats import read_checkpoint

# Side of the smallest square image, and of a small one for the tests.
SMALL = {"lenet5": (32, 32), "convnet": (28, 28), "alexnet": (63, 63), "inception_v3": (75, 80)}
# Parameters and statistics, the first name and the last, and the hash of all names with their shapes.
NAMES = {
    "resnet18": (102, "backbone.conv1.features.0.weight", "head.dense.bias", "4e85996573c3"),
    "resnet34": (182, "backbone.conv1.features.0.weight", "head.dense.bias", "52462d7a0b29"),
    "resnet50": (267, "backbone.conv1.features.0.weight", "head.dense.bias", "4b5807d9153e"),
    "resnet101": (522, "backbone.conv1.features.0.weight", "head.dense.bias", "ca07914a1a17"),
    "resnet152": (777, "backbone.conv1.features.0.weight", "head.dense.bias", "ea78128cc322"),
    "wide_resnet50_2": (267, "backbone.conv1.features.0.weight", "head.dense.bias", "d7d1b75b901f"),
    "resnext50_32x4d": (267, "backbone.conv1.features.0.weight", "head.dense.bias", "718c139dccfd"),
    "resnet20": (107, "backbone.conv1.features.0.weight", "head.dense.bias", "36d2316af563"),
    "resnet32": (167, "backbone.conv1.features.0.weight", "head.dense.bias", "bb92de9320a7"),
    "resnet44": (227, "backbone.conv1.features.0.weight", "head.dense.bias", "9c7e7cf3734f"),
    "resnet56": (287, "backbone.conv1.features.0.weight", "head.dense.bias", "926ee6dc85f1"),
    "resnet110": (557, "backbone.conv1.features.0.weight", "head.dense.bias", "adb5025e9344"),
    "lenet5": (10, "backbone.conv1.weight", "head.dense.bias", "0b0edc5f1867"),
    "convnet": (6, "backbone.conv1.weight", "head.dense.bias", "6a4a1ec03308"),
    "alexnet": (16, "backbone.features.0.weight", "head.dense.bias", "5f9004515461"),
    "vgg16": (32, "backbone.features.0.weight", "head.dense.bias", "72df3efb4720"),
    "googlenet": (305, "backbone.conv1.features.0.weight", "aux.1.dense.bias", "9ac8aa7778d7"),
    "inception_v3": (484, "backbone.conv1a.features.0.weight", "aux.0.dense.bias", "9d92f7cf3a45"),
}
EXACT = {
    "resnet18": 11_689_512,
    "resnet34": 21_797_672,
    "resnet50": 25_557_032,
    "resnet101": 44_549_160,
    "resnet152": 60_192_808,
    "wide_resnet50_2": 68_883_240,
    "resnext50_32x4d": 25_028_904,
    "resnet20": 272_474,
    "resnet32": 466_906,
    "resnet44": 661_338,
    "resnet56": 855_770,
    "resnet110": 1_730_714,
    "lenet5": 61_706,
    "convnet": 9_098,
    "alexnet": 61_100_840,
    "vgg16": 138_357_544,
    "googlenet": 13_004_888,
    "inception_v3": 27_161_264,
}
# One network of every family and of every kind of block: the others are more of the same blocks.
OF_EACH_KIND = ["resnet18", "resnet50", "resnext50_32x4d", "resnet20"]
OF_EACH_KIND += ["lenet5", "convnet", "alexnet", "vgg16", "googlenet", "inception_v3"]


@pytest.fixture(scope="module", params=list_models())
def zeros(request):
    """Each network in turn, its weights zero, for the tests in which only names and shapes count."""
    return zero_model(request.param)


@pytest.fixture(scope="module", params=OF_EACH_KIND)
def net(request):
    """One network of each kind in turn, built once; the tests come in the order of this file."""
    mindspore.set_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        narrow_classifiers(patch)
        return mindres.create_model(request.param, num_classes=10)


@pytest.fixture
def graph_mode():
    before = mindspore.get_context("mode")
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    yield
    mindspore.set_context(mode=before)


def images(shape, batch=2, seed=0):
    return mindspore.Tensor(
        np.random.default_rng(seed).standard_normal((batch, *shape)).astype(np.float32)
    )


def small_images(arch, batch=2):
    return images((network(arch).input_shape[0], *SMALL.get(arch, (32, 38))), batch)


def names_and_shapes(net):
    return [(parameter.name, tuple(parameter.shape)) for parameter in net.get_parameters()]


def test_exact_size_at_the_default_input(zeros):
    arch = zeros.architecture["arch"]
    facts = network(arch)
    found = summarize(zeros, facts.input_shape)
    assert found.parameters == count_parameters(zeros) == facts.parameters == EXACT[arch]
    assert f"{EXACT[arch]:,}" in getattr(mindres, arch).__doc__
    assert found.multiply_adds == facts.multiply_adds
    assert found.rows[-1].output_shape == (zeros.architecture["num_classes"],)
    lines = str(found).splitlines()
    assert max(map(len, lines)) <= 80, "it fits a terminal"
    assert len(lines) <= 24 or arch in ("googlenet", "inception_v3")


def test_names_are_pinned(zeros):
    found = names_and_shapes(zeros)
    digest = hashlib.sha256(
        "\n".join(f"{name}:{shape}" for name, shape in sorted(found)).encode()
    ).hexdigest()[:12]
    assert (len(found), found[0][0], found[-1][0], digest) == NAMES[zeros.architecture["arch"]]
    assert (
        zeros.head.dense.weight.name == "head.dense.weight"
        and zeros.head.dense.bias.name == "head.dense.bias"
    )


def test_no_naming_gives_two_parameters_one_name(zeros):
    names = [parameter.name for parameter in zeros.get_parameters()]
    for publisher, naming in family(zeros.architecture["arch"]).namings.items():
        assert len({naming.name(name) for name in names}) == len(names), publisher


def test_it_is_recognised_under_each_of_its_names(zeros):
    wanted = zeros.architecture
    for publisher, naming in family(wanted["arch"]).namings.items():
        file = {naming.name(parameter.name): parameter for parameter in zeros.get_parameters()}
        found = identify(file)
        assert {**wanted, **found} == wanted, publisher
        assert {"arch", "in_channels", "num_classes"} <= found.keys()


def test_a_new_network_infers(zeros):
    assert not zeros.training and zeros.phase == "predict"
    assert not [cell for _, cell in zeros.cells_and_names() if cell.training]


def test_small_images(net):
    logits = net(small_images(net.architecture["arch"]))
    assert logits.shape == (2, 10) and np.isfinite(logits.asnumpy()).all()


def test_training_lowers_the_loss(net):
    arch = net.architecture["arch"]
    x, y = small_images(arch, 4), mindspore.Tensor(np.arange(4) % 10, mindspore.int32)
    for _, cell in net.cells_and_names():
        if isinstance(cell, nn.Dropout):
            cell.p = 0.0  # so that one loss can be compared with the next
    measure, returned = nn.CrossEntropyLoss(), []

    def forward(x, y):
        outputs = net(x)
        logits, *auxiliary = outputs if isinstance(outputs, tuple) else (outputs,)
        returned.append(len(auxiliary))
        return sum((net.aux_weight * measure(extra, y) for extra in auxiliary), measure(logits, y))

    # Plain gradient descent by hand: MindSpore keeps what its optimizers have compiled, parameters and all.
    parameters = net.trainable_params()
    net.set_train(True)
    loss, gradients = mindspore.value_and_grad(forward, None, parameters)(x, y)
    for parameter, gradient in zip(parameters, gradients):
        parameter.set_data(parameter - 0.01 * gradient)
    after = forward(x, y)
    net.set_train(False)
    assert float(after) < float(loss)
    assert returned == [{"googlenet": 2, "inception_v3": 1}.get(arch, 0)] * 2
    assert not [
        name
        for name, gradient in zip(names_and_shapes(net), gradients)
        if not gradient.asnumpy().any()
    ]


# Without the two that `net` has narrower than they are.
@pytest.mark.parametrize(
    "net", [arch for arch in OF_EACH_KIND if arch not in ("alexnet", "vgg16")], indirect=True
)
def test_round_trip_through_both_formats(net, tmp_path):
    kept = {parameter.name: parameter.asnumpy() for parameter in net.get_parameters()}
    recorded = {"architecture": net.architecture, "classes": ["a"], "epoch": 3}
    path = mindres.save_checkpoint(net, tmp_path / "file.safetensors", classes=["a"], epoch=3)
    arrays, metadata = read_checkpoint(path)
    assert metadata == recorded and arrays.keys() == kept.keys()
    assert all(np.array_equal(arrays[name], kept[name]) for name in kept)
    path.unlink()
    path = mindres.save_checkpoint(net, tmp_path / "file.ckpt", classes=["a"], epoch=3)
    again, metadata = mindres.load_model(path)
    assert metadata == recorded and again.architecture == net.architecture
    assert names_and_shapes(again) == names_and_shapes(net)
    assert all(
        np.array_equal(parameter.asnumpy(), kept[parameter.name])
        for parameter in again.get_parameters()
    )


@pytest.mark.parametrize(
    "arch, options",
    [
        ("convnet", {}),
        ("resnet20", {"shortcut": "A"}),
        ("googlenet", {}),
        ("resnet18", {"pad_mode": "pad"}),
    ],
)
def test_graph_mode_computes_the_same(arch, options, graph_mode):
    net = mindres.create_model(arch, num_classes=7, **options)
    x = images((1, 28, 28)) if arch == "convnet" else images((3, 33, 38))
    compiled = net(x).asnumpy()
    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
    np.testing.assert_allclose(compiled, net(x).asnumpy(), rtol=1e-4, atol=1e-5)


def test_graph_mode_follows_what_changes(graph_mode):
    # MindSpore keeps the graph of a cell that was called before it was told whether it trains.
    net = mindres.resnet20(10)
    x = images((3, 16, 16))
    inferred = net(x).asnumpy()
    assert np.abs(net.set_train(True)(x).asnumpy() - inferred).max() > 0.1
    assert net.set_train(False)(x).shape == (2, 10)
    assert mindres.reset_head(net, 4)(x).shape == (2, 4)


@pytest.mark.parametrize("arch", ["resnet20", "googlenet", "inception_v3"])
def test_reset_head_replaces_every_classifier_and_nothing_else(arch):
    net = mindres.create_model(arch)
    before = {parameter.name: parameter.asnumpy() for parameter in net.get_parameters()}
    assert mindres.reset_head(net, 5) is net
    assert net.architecture["num_classes"] == 5 and names_and_shapes(net) == names_and_shapes(
        zero_model(arch, num_classes=5)
    )
    changed = {
        parameter.name
        for parameter in net.get_parameters()
        if not np.array_equal(parameter.asnumpy(), before[parameter.name])
    }
    prefixes = {
        "resnet20": ["head"],
        "googlenet": ["aux.0", "aux.1", "head"],
        "inception_v3": ["aux.0", "head"],
    }[arch]
    assert changed == {
        f"{prefix}.dense.{kind}" for prefix in prefixes for kind in ("weight", "bias")
    }
    assert net.head.dropout.p == pytest.approx(
        {"resnet20": 0, "googlenet": 0.2, "inception_v3": 0.5}[arch]
    )


@pytest.mark.parametrize("arch", ["googlenet", "inception_v3"])
def test_without_auxiliary_classifiers(arch):
    net = mindres.create_model(arch, num_classes=3, aux_logits=False)
    assert not [name for name, _ in names_and_shapes(net) if name.startswith("aux")]
    assert net.set_train(True)(small_images(arch)).shape == (2, 3)
    full = zero_model(arch, aux_logits=False)
    assert count_parameters(full) == {"googlenet": 6_624_904, "inception_v3": 23_834_568}[arch]
    assert f"{count_parameters(full):,}" in getattr(mindres, arch).__doc__


@pytest.mark.parametrize(
    "arch, count",
    [
        ("resnet20", 269_722),
        ("resnet32", 464_154),
        ("resnet44", 658_586),
        ("resnet56", 853_018),
        ("resnet110", 1_727_962),
    ],
)
def test_shortcut_a_has_no_parameters(arch, count):
    net = zero_model(arch, shortcut="A")
    assert count_parameters(net) == count == network(arch).parameters - 2_752
    assert "With shortcut A there are 2,752 parameters fewer" in getattr(mindres, arch).__doc__
    assert not [name for name, _ in names_and_shapes(net) if "down_sample" in name]


def test_shortcut_a_takes_every_second_pixel_and_pads_channels_on_both_sides():
    from mindres.models.cifar_resnet import PadShortcut

    x = images((4, 5, 6)) - 1
    expected = np.zeros((2, 8, 3, 3), np.float32)
    expected[:, 2:6] = x.asnumpy()[:, :, ::2, ::2]
    assert np.array_equal(PadShortcut(4, 8, 2)(x).asnumpy(), expected)


@pytest.mark.parametrize(
    "arch, channels",
    [
        ("resnet18", 1),
        ("resnet20", 1),
        ("lenet5", 3),
        ("convnet", 3),
        ("alexnet", 1),
        ("googlenet", 1),
        ("inception_v3", 1),
    ],
)
def test_images_of_other_channels(arch, channels, monkeypatch):
    narrow_classifiers(monkeypatch)
    net = mindres.create_model(arch, num_classes=3, in_channels=channels)
    assert net(images((channels, *SMALL.get(arch, (32, 38))))).shape == (2, 3)
    assert net.architecture["in_channels"] == channels


def test_channels_are_recognised_beside_convolutions_of_fewer():
    # The grouped convolutions of a ResNeXt have weights of 4 channels.
    net = zero_model("resnext50_32x4d", num_classes=2, in_channels=12)
    found = identify({parameter.name: parameter for parameter in net.get_parameters()})
    assert found == {"arch": "resnext50_32x4d", "in_channels": 12, "num_classes": 2}


@pytest.mark.parametrize(
    "arch, size, wanted",
    [
        ("alexnet", 62, "at least 63x63"),
        ("lenet5", 28, "32x32"),
        ("convnet", 32, "28x28"),
        ("inception_v3", 74, "at least 75x75"),
    ],
)
def test_images_of_a_wrong_size_are_refused_in_words(arch, size, wanted):
    with pytest.raises(
        UserError, match=f"takes images of {wanted} pixels, not {size}x{size}: resize them"
    ):
        zero_model(arch, num_classes=2)(images((network(arch).input_shape[0], size, size)))


def test_the_list_and_its_patterns():
    assert mindres.list_models() == list(networks()) == list(EXACT)
    assert mindres.list_models("resnet1*") == ["resnet18", "resnet101", "resnet152", "resnet110"]
    assert mindres.list_models("nothing") == []


def test_mistakes_are_answered_with_what_there_is():
    with pytest.raises(UserError, match="unknown network 'resnet51': did you mean resnet"):
        mindres.create_model("resnet51")
    with pytest.raises(
        UserError, match=r"unknown network 'ViT': choose one of resnet18, .*inception_v3"
    ):
        mindres.create_model("ViT")
    with pytest.raises(
        UserError,
        match="resnet50 has no option 'shortcut': its options are num_classes, pretrained",
    ):
        mindres.create_model("resnet50", shortcut="A")
    with pytest.raises(
        UserError, match=r"unknown shortcut 'C': choose A \(pads\) or B \(projects\)"
    ):
        mindres.resnet20(shortcut="C")
    for function in (mindres.resnet18, mindres.inception_v3):
        with pytest.raises(UserError, match="unknown pad_mode 'valid': choose one of same, pad"):
            function(num_classes=2, pad_mode="valid")
