"""Networks of native operators against the same networks of MindSpore's: logits, gradients, statistics."""

import copy
import json

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, nn
from mindvision.classification.models.blocks import ConvNormActivation

import mindres
from mindres.models.inception import ConvNorm
from mindres.models.resnet import ResidualBlock, ResNet
from mindres.native import accelerate, operators
from mindres.native.accelerate import accelerated

ABSENT = operators.why_not()
pytestmark = pytest.mark.skipif(ABSENT is not None, reason=f"no native operators: {ABSENT}")
random = np.random.default_rng()


@pytest.fixture(autouse=True)
def graph_mode():
    global random
    random = np.random.default_rng(0)
    mindspore.set_seed(0)
    before = mindspore.get_context("mode")
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    yield
    mindspore.set_context(mode=before)


def tensor(*shape):
    return Tensor(random.standard_normal(shape, np.float32))


def like_trained(net, beta=0.0):
    """`net` with normalisation that differs from the identity.

    With a large `beta` few values come near zero, where rounding decides whether ReLU passes a gradient on.
    """
    for _, cell in net.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            shape = cell.gamma.shape
            for parameter, value in (
                (cell.gamma, random.uniform(0.5, 1.5, shape)),
                (cell.beta, random.normal(beta, 0.3, shape)),
                (cell.moving_mean, random.normal(0, 0.3, shape)),
                (cell.moving_variance, random.uniform(0.5, 2, shape)),
            ):
                parameter.set_data(Tensor(value, mindspore.float32))
    return net


def gradients(net, images, weights):
    """The outputs of `net`, and the gradients of `weights` times them for the images and each trained parameter."""
    trained = net.trainable_params()

    def scalar(x):
        return (net(x) * weights).sum()

    if trained:
        _, (dx, parameters) = mindspore.value_and_grad(scalar, 0, trained)(images)
    else:
        dx, parameters = mindspore.grad(scalar)(images), []
    return {"images": dx.asnumpy(), **{p.name: g.asnumpy() for p, g in zip(trained, parameters)}}


def statistics(net):
    return {p.name: p.asnumpy().copy() for p in net.get_parameters() if "moving" in p.name}


def assert_close(ours, theirs, bound):
    """Each array differs by at most `bound` of its largest value, or of the usual largest value where that is more."""
    assert ours.keys() == theirs.keys()
    largest = {name: np.abs(value).max() for name, value in theirs.items()}
    least = np.median(list(largest.values()))
    off = {
        name: np.abs(ours[name] - value).max() / max(largest[name], least)
        for name, value in theirs.items()
    }
    assert max(off.values()) <= bound, max(off.items(), key=lambda item: item[1])


CELLS = [
    (ConvNormActivation, (16, 32), {}, (4, 9, 9)),
    (ConvNormActivation, (16, 16), {"activation": None}, (2, 5, 7)),
    (ConvNormActivation, (3, 64), {"kernel_size": 7, "stride": 2}, (2, 17, 16)),
    (ConvNormActivation, (32, 32), {"groups": 32}, (2, 6, 6)),
    (ConvNorm, (24, 48), {"kernel_size": (1, 7)}, (2, 9, 9)),
    (ConvNorm, (16, 32), {"kernel_size": 3, "stride": 2, "pad_mode": "valid"}, (3, 9, 9)),
]


@pytest.mark.parametrize("state", ["training", "inference", "frozen statistics"])
@pytest.mark.parametrize(("kind", "channels", "options", "size"), CELLS, ids=str)
def test_convolution_and_normalisation(kind, channels, options, size, state):
    net = like_trained(kind(*channels, **options))
    if state == "frozen statistics":
        net.features[1].use_batch_statistics = False
    net.set_train(state != "inference")
    other = copy.deepcopy(net)
    images = tensor(size[0], channels[0], *size[1:])
    expected = net(images)
    with accelerated(other):
        assert type(other) is accelerate.NativeConvNorm
        ours = other(images)
    assert_close(
        {"y": ours.asnumpy(), **statistics(other)},
        {"y": expected.asnumpy(), **statistics(net)},
        1e-5,
    )
    assert type(other) is kind and not {"settings", "norm"} & vars(other).keys()
    weights = tensor(*expected.shape)
    with accelerated(other):
        ours = gradients(other, images, weights)
    assert_close(ours, gradients(net, images, weights), 2e-5)


def bottlenecks():
    return ResNet(ResidualBlock, (2, 1, 1, 1))


@pytest.mark.parametrize(
    ("build", "side", "native_cells"),
    [
        (lambda: mindres.resnet20().backbone, 32, "NativeCifarResNet"),
        (lambda: mindres.resnet20(shortcut="A").backbone, 17, "NativePadShortcut"),
        (lambda: mindres.resnet18(pad_mode="pad").backbone, 64, "NativeBlockBase"),
        (bottlenecks, 64, "NativeBlock"),
    ],
    ids=["resnet20", "shortcut A", "resnet18", "bottlenecks"],
)
def test_whole_backbones(build, side, native_cells):
    net = like_trained(build(), beta=8)
    net.set_train(False)
    images = tensor(6, 3, side, side)
    other = copy.deepcopy(net)
    inferred = net(images)
    with accelerated(other):
        assert native_cells in {type(cell).__name__ for _, cell in other.cells_and_names()}
        assert_close({"y": other(images).asnumpy()}, {"y": inferred.asnumpy()}, 1e-5)
    net.set_train()
    other.set_train()
    weights = tensor(*inferred.shape)
    with accelerated(other):
        ours = {**gradients(other, images, weights), **statistics(other)}
    assert_close(ours, {**gradients(net, images, weights), **statistics(net)}, 1e-3)


def test_gradients_of_a_network_that_infers():
    net = like_trained(mindres.resnet20(), beta=8)
    net.set_train(False)
    other = copy.deepcopy(net)
    images, weights = tensor(3, 3, 32, 32), tensor(3, 10)
    with accelerated(other):
        ours = gradients(other, images, weights)
    assert_close(ours, gradients(net, images, weights), 1e-4)


def test_large_means_cost_no_digits():
    net = ConvNormActivation(16, 16, kernel_size=1, activation=None)
    net.features[0].weight.set_data(Tensor(np.eye(16)[:, :, None, None], mindspore.float32))
    net.set_train()
    images = 1000 + random.standard_normal((8, 16, 6, 6), np.float32)
    exact = images.astype(np.float64)
    deviations = exact - exact.mean((0, 2, 3), keepdims=True)
    expected = deviations / np.sqrt((deviations**2).mean((0, 2, 3), keepdims=True) + 1e-5)
    with accelerated(net):
        np.testing.assert_allclose(net(Tensor(images)).asnumpy(), expected, atol=1e-3)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda net: setattr(net.layer2[0], "conv1", nn.SequentialCell(net.layer2[0].conv1)),
        lambda net: net.layer1[0].conv2.features[1].to_float(mindspore.float16),
    ],
)
def test_unknown_parts_leave_a_network_in_plain_layout(spoil):
    net = mindres.resnet20().backbone
    spoil(net)
    with accelerated(net):
        kinds = {type(cell).__name__ for _, cell in net.cells_and_names()}
    assert "NativeConvNorm" in kinds and not kinds & {"NativeCifarResNet", "NativeBlockBase"}


def test_tensors_that_can_be_looked_at_are_plain():
    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
    net = mindres.resnet20().backbone
    images = tensor(2, 3, 32, 32)
    expected = net.layer1(net.conv1(images)).asnumpy()
    with accelerated(net):
        assert_close({"y": net.layer1(net.conv1(images)).asnumpy()}, {"y": expected}, 1e-5)


def test_training_goes_the_same_way():
    net = mindres.resnet20()
    images, labels = tensor(16, 3, 32, 32), Tensor(random.integers(0, 10, 16), mindspore.int32)

    def losses(net):
        step = nn.TrainOneStepCell(
            nn.WithLossCell(net, nn.CrossEntropyLoss()),
            nn.Momentum(net.trainable_params(), 0.02, 0.9),
        ).set_train()
        return [float(step(images, labels)) for _ in range(4)]

    other = copy.deepcopy(net)
    with accelerated(other):
        ours = losses(other)
    assert ours == pytest.approx(losses(net), rel=1e-3)
    assert ours[-1] < ours[0]


def test_an_older_processor(run_python, tmp_path):
    # Blocks of 8 channels and oneDNN's AVX2 kernels, against MindSpore's own. MindSpore wants its source in a file.
    (tmp_path / "older.py").write_text("""
import copy, json, mindres, mindspore, numpy
from mindres.native import operators
from mindres.native.accelerate import accelerated
operators.ISA = 7
assert operators.load()[2] == 8, operators.load()
mindspore.set_context(mode=mindspore.GRAPH_MODE)
random = numpy.random.default_rng(0)
mindspore.set_seed(0)
net = mindres.resnet20()
for name, parameter in net.parameters_and_names():
    if name.endswith("beta"):
        parameter.set_data(mindspore.Tensor(random.normal(8, 0.3, parameter.shape), mindspore.float32))
images = mindspore.Tensor(random.standard_normal((4, 3, 32, 32), numpy.float32))
net.set_train(False)
other = copy.deepcopy(net)
weights = mindspore.Tensor(random.standard_normal((4, 10), numpy.float32))
def loss(x): return (net(x) * weights).sum()
def other_loss(x): return (other(x) * weights).sum()
results = []
for network, function in ((net, loss), (other, other_loss)):
    with accelerated(*([other] if network is other else [])):
        logits = network(images).asnumpy()
        network.set_train()
        results.append((logits, mindspore.grad(function)(images).asnumpy()))
print(json.dumps([float(abs(a - b).max() / abs(a).max()) for a, b in zip(*results)]))
""")
    done = run_python("older.py")
    assert done.returncode == 0, done.stderr
    logits, gradient = json.loads(done.stdout.splitlines()[-1])
    assert logits < 1e-5 and gradient < 1e-3
