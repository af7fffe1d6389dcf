"""Networks of native operators against the same networks of MindSpore's: logits, gradients, statistics."""

import contextlib
import copy
import itertools
import json

import mindspore
import numpy as np
import pytest
from mindspore import Tensor, nn
from mindvision.classification.models.blocks import ConvNormActivation
from small_networks import resnet8

import mindres
from mindres.compat import mindspore as private
from mindres.models.cifar_resnet import CifarResNet
from mindres.models.layers import ConvNorm
from mindres.models.residual_blocks import ResidualBlock, ResidualBlockBase, make_layer
from mindres.models.resnet_backbone import ResNet
from mindres.native import accelerate, library, networks
from mindres.native.accelerate import accelerated
from mindres.training import moving_average, recipes
from mindres.training.step import training_step

ABSENT = library.why_not()
pytestmark = pytest.mark.skipif(ABSENT is not None, reason=f"no native operators: {ABSENT}")
random = np.random.default_rng()


@pytest.fixture(autouse=True)
def graph_mode():
    global random
    random = np.random.default_rng(0)
    mindspore.set_seed(0)
    mindspore.set_context(mode=mindspore.GRAPH_MODE)  # conftest.own_mode sets it back


@contextlib.contextmanager
def eagerly():
    """MindSpore's own answers come operator by operator: to compile a graph takes six times as long."""
    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
    yield
    mindspore.set_context(mode=mindspore.GRAPH_MODE)


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
    (ConvNormActivation, (128, 128), {"groups": 32, "stride": 2}, (2, 9, 9)),
    (ConvNormActivation, (256, 256), {"groups": 32}, (2, 7, 7)),
    (ConvNormActivation, (64, 128), {"groups": 4}, (2, 7, 7)),
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
    with eagerly():
        expected = net(images)
    with accelerated(other):
        assert isinstance(other, networks.NativeConvNorm) and isinstance(other, kind)
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
    with eagerly():
        assert_close(ours, gradients(net, images, weights), 2e-5)


def bottlenecks(**options):
    return ResNet(ResidualBlock, (2, 1, 1, 1), **options)


def native_cells(net, kind):
    return [cell for _, cell in net.cells_and_names() if isinstance(cell, kind)]


def residual_blocks(net):
    """All cells with a shortcut, whether or not they say what the operators need to know."""
    return [cell for _, cell in net.cells_and_names() if hasattr(cell, "down_sample")]


class SequenceOf(nn.Cell):
    """A backbone of one stage."""

    sequence = ("layer1",)

    def __init__(self, stage):
        super().__init__()
        self.layer1 = stage

    def construct(self, x):
        return self.layer1(x)


NORM = ("gamma", "beta", "moving_mean", "moving_variance")
BACKBONES = {
    "resnet20": (lambda: mindres.resnet20().backbone, 32),
    "projecting": (lambda: CifarResNet(1), 32),
    "shortcut A": (lambda: CifarResNet(1, shortcut="A"), 17),
    "padded": (lambda: ResNet(ResidualBlockBase, (1, 1, 1, 1), pad_mode="pad"), 64),
    "bottlenecks": (bottlenecks, 64),
    "grouped": (lambda: with_groups(bottlenecks()), 64),
}


def with_groups(backbone, groups=32):
    """`backbone` with the 3x3 convolutions of its bottlenecks in groups of 2 to 16 channels."""
    for block in residual_blocks(backbone):
        before = block.conv2.features[0]
        block.conv2.features[0] = nn.Conv2d(
            before.in_channels, before.out_channels, 3, before.stride, group=groups
        )
    backbone.update_parameters_name()
    for name, parameter in backbone.parameters_and_names():
        parameter.name = name
    return backbone


@pytest.mark.parametrize(("build", "side"), BACKBONES.values(), ids=BACKBONES)
def test_whole_backbones(build, side):
    net = like_trained(build(), beta=8)
    net.set_train(False)
    images = tensor(6, 3, side, side)
    other = copy.deepcopy(net)
    with eagerly():
        inferred = net(images)
    with accelerated(other):
        assert isinstance(other, networks.NativeBackbone)
        blocks = native_cells(other, networks.NativeResidualBlock)
        assert blocks == residual_blocks(other)
        assert_close({"y": other(images).asnumpy()}, {"y": inferred.asnumpy()}, 1e-5)
    net.set_train()
    other.set_train()
    weights = tensor(*inferred.shape)
    with accelerated(other):
        ours = {**gradients(other, images, weights), **statistics(other)}
    with eagerly():
        assert_close(ours, {**gradients(net, images, weights), **statistics(net)}, 1e-3)


@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize("groups", [1, 4, 32])
def test_a_bottleneck_with_groups_equals_pytorchs(groups, training):
    torch = pytest.importorskip("torch")
    stage = make_layer(64, ResidualBlock, 64, 1, stride=2)
    backbone = with_groups(SequenceOf(stage), groups)
    net = like_trained(backbone, beta=3).set_train(training)
    images = random.standard_normal((4, 64, 9, 9), np.float32)
    weights = random.standard_normal((4, 256, 5, 5), np.float32)

    own = {name: parameter.asnumpy() for name, parameter in net.parameters_and_names()}
    trained = {p.name for p in net.trainable_params()}
    theirs = {
        name: torch.tensor(value, dtype=torch.float64, requires_grad=name in trained)
        for name, value in own.items()
    }
    x = torch.tensor(images, dtype=torch.float64, requires_grad=True)

    def conv_norm(x, name, stride=1, padding=0, groups=1):
        z = torch.nn.functional.conv2d(
            x, theirs[f"{name}.features.0.weight"], None, stride, padding, 1, groups
        )
        norm = {part: theirs[f"{name}.features.1.{part}"] for part in NORM}
        mean, variance = norm["moving_mean"].clone(), norm["moving_variance"].clone()
        return torch.nn.functional.batch_norm(
            z, mean, variance, norm["gamma"], norm["beta"], training, eps=1e-5
        )

    y = torch.relu(conv_norm(x, "layer1.0.conv1"))
    y = torch.relu(conv_norm(y, "layer1.0.conv2", 2, 1, groups))
    y = conv_norm(y, "layer1.0.conv3")
    y = torch.relu(y + conv_norm(x, "layer1.0.down_sample", 2))
    (y * torch.tensor(weights)).sum().backward()
    expected = {"images": x.grad.numpy()}
    expected |= {name: theirs[name].grad.numpy() for name in trained}

    with accelerated(net):
        assert isinstance(net, networks.NativeBackbone)
        assert_close({"y": net(Tensor(images)).asnumpy()}, {"y": y.detach().numpy()}, 1e-5)
        ours = gradients(net, Tensor(images), Tensor(weights))
    assert_close(ours, {name: expected[name] for name in ours}, 1e-4)


def test_gradients_of_a_network_that_infers():
    net = like_trained(resnet8(), beta=8)
    net.set_train(False)
    other = copy.deepcopy(net)
    images, weights = tensor(3, 3, 32, 32), tensor(3, 10)
    with accelerated(other):
        ours = gradients(other, images, weights)
    with eagerly():
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


@pytest.mark.parametrize("arch", mindres.list_models())
def test_every_network_of_residual_blocks_is_accelerated(arch):
    with private.without_initial_values():
        net = mindres.create_model(arch)
    blocks = residual_blocks(net)
    if not blocks:
        assert "res" not in arch
        return
    with accelerated(net):
        assert isinstance(net.backbone, networks.NativeBackbone)
        assert native_cells(net, networks.NativeResidualBlock) == blocks
        convolutions = [cell for _, cell in net.cells_and_names() if isinstance(cell, nn.Conv2d)]
        fused = native_cells(net, networks.NativeConvNorm)
        assert len(convolutions) == len(fused)
        assert not any(block.plain_shortcut for block in blocks)


@pytest.mark.parametrize(
    ("spoil", "blocked_part"),
    [
        (lambda net: setattr(net.layer3[0], "conv1", nn.SequentialCell(net.layer3[0].conv1)), 0),
        (lambda net: net.layer3[0].conv2.features[1].to_float(mindspore.float16), 0),
        (lambda net: setattr(net.layer2[0], "conv1", nn.SequentialCell(net.layer2[0].conv1)), 1),
    ],
)
def test_stages_before_an_unknown_part_stay_in_plain_layout(spoil, blocked_part):
    net = mindres.resnet20().backbone
    net.set_train(False)
    spoil(net)
    images = tensor(2, 3, 32, 32)
    with eagerly():
        expected = net(images)
    with accelerated(net):
        assert native_cells(net, networks.NativeConvNorm)
        assert isinstance(net, networks.NativeBackbone) == bool(blocked_part)
        blocks = native_cells(net, networks.NativeResidualBlock)
        assert len(blocks) == 3 * blocked_part
        assert_close({"y": net(images).asnumpy()}, {"y": expected.asnumpy()}, 1e-2)


def test_a_block_or_backbone_that_computes_otherwise_is_left_alone():
    class Halved(ResidualBlock):
        def construct(self, x):
            return 2 * self.conv3(self.conv2(self.conv1(x)))

    class Wider(ResidualBlock):
        expansion = 8

    for kind, replaced in ((Halved, False), (Wider, True)):
        net = ResNet(kind, (1, 1, 1, 1))
        with accelerated(net):
            assert isinstance(net, networks.NativeBackbone) is replaced
            assert len(native_cells(net, networks.NativeResidualBlock)) == 4 * replaced


def test_inside_the_block_cells_are_what_they_were():
    with private.without_initial_values():
        net = mindres.resnet50(num_classes=10)
    parameters = [p.name for p in net.get_parameters()]
    with accelerated(net):
        assert isinstance(net.backbone, ResNet)
        block = net.backbone.layer1[0]
        assert isinstance(block, ResidualBlock) and block.expansion == 4
        assert isinstance(block.conv1, ConvNormActivation)
        assert isinstance(block.conv1.features[0], nn.Conv2d)
        assert [p.name for p in net.get_parameters()] == parameters
        net.backbone.set_pad_mode("pad")
        inside = type(net.backbone.max_pool)
    assert type(net.backbone) is ResNet and type(net.backbone.max_pool) is inside


def test_graphs_compiled_inside_are_used_inside_and_nowhere_else():
    net = like_trained(resnet8(), beta=8)
    net.set_train(False)
    images = tensor(2, 3, 32, 32)
    answers = {}

    def answer(where):
        answers.setdefault(where, []).append(net(images).asnumpy())

    # Each rounds otherwise, which tells them apart.
    for _ in range(2):
        answer("outside")
        for step in accelerate.STEPS:
            with accelerated(net, step=step):
                answer(step)
    graphs = len(net.compile_cache)
    assert graphs == len(answers) == 4
    assert all(np.array_equal(*pair) for pair in answers.values())
    firsts = [first for first, _ in answers.values()]
    assert not any(np.array_equal(a, b) for a, b in itertools.combinations(firsts[:3], 2))


def test_tensors_that_can_be_looked_at_are_plain():
    mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
    net = mindres.resnet20().backbone
    images = tensor(2, 3, 32, 32)
    expected = net.layer1(net.conv1(images)).asnumpy()
    with accelerated(net):
        assert_close({"y": net.layer1(net.conv1(images)).asnumpy()}, {"y": expected}, 1e-5)


def test_training_goes_the_same_way():
    net = resnet8()
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
    with eagerly():
        assert ours == pytest.approx(losses(net), rel=1e-3)
    assert ours[-1] < ours[0]


def test_a_moving_average_follows_the_statistics_too():
    # MindSpore hands copies of the weights to operators where something reads them after the step.
    cell = nn.SequentialCell(ConvNormActivation(3, 16), nn.Flatten(), nn.Dense(16 * 25, 4))
    recipe = recipes.make_recipe("tutorial", ema=0.5)
    images, labels = tensor(4, 3, 5, 5), Tensor(random.integers(0, 4, 4), mindspore.int32)

    def weights(native):
        net = copy.deepcopy(cell)
        average = moving_average.averaged_copy(net)
        optimizer = nn.Momentum(net.trainable_params(), 0.02, 0.9)
        one_step = training_step(net, optimizer, recipe, average).set_train()
        with accelerated(*([one_step] if native else [])):
            for _ in range(2):
                one_step(images, labels)
        return {p.name: p.asnumpy() for p in (*net.get_parameters(), *average.get_parameters())}

    before = {p.name: p.asnumpy().copy() for p in cell.get_parameters()}
    ours = weights(native=True)
    assert not [name for name in before if np.array_equal(ours[name], before[name])]
    assert_close(ours, weights(native=False), 1e-4)


def cosine(a, b):
    a, b = a.astype(np.float64).ravel(), b.astype(np.float64).ravel()
    return (a @ b) / np.sqrt((a @ a) * (b @ b))


NO_BFLOAT16 = library.why_not(mindspore.bfloat16)


@pytest.mark.skipif(NO_BFLOAT16 is not None, reason=f"no bfloat16: {NO_BFLOAT16}")
@pytest.mark.parametrize("training", [True, False], ids=["training", "inference"])
@pytest.mark.parametrize(("kind", "channels", "options", "size"), CELLS, ids=str)
def test_convolution_and_normalisation_in_bfloat16(kind, channels, options, size, training):
    net = like_trained(kind(*channels, **options), beta=2).set_train(training)
    images = tensor(size[0], channels[0], *size[1:])
    with eagerly():
        exact = {"y": net(images).asnumpy()}
        weights = tensor(*exact["y"].shape)
        exact |= gradients(net, images, weights)
    with accelerated(net, dtype=mindspore.bfloat16):
        ours = {"y": net(images).asnumpy(), **gradients(net, images, weights)}
    for key, value in exact.items():
        assert cosine(ours[key], value) > 0.998, key
        assert np.abs(np.linalg.norm(ours[key]) / np.linalg.norm(value) - 1) < 0.01, key


def test_an_older_processor(run_python, tmp_path):
    # Blocks of 8 channels and oneDNN's AVX2 kernels, against MindSpore's own operators. MindSpore compiles
    # only functions whose source is in a file.
    (tmp_path / "older.py").write_text("""
import copy, json, mindres, mindspore, numpy
from mindres.native import library
from mindres.models.cifar_resnet import CifarResNet
from mindres.native.accelerate import accelerated
library.ISA = 7
assert library.load().blocks[mindspore.float32] == 8, library.load()
random = numpy.random.default_rng(0)
mindspore.set_seed(0)
net = CifarResNet(1)
for name, parameter in net.parameters_and_names():
    if name.endswith("beta"):
        parameter.set_data(mindspore.Tensor(random.normal(8, 0.3, parameter.shape), mindspore.float32))
images = mindspore.Tensor(random.standard_normal((4, 3, 32, 32), numpy.float32))
net.set_train(False)
other = copy.deepcopy(net)
weights = mindspore.Tensor(random.standard_normal((4, 64, 8, 8), numpy.float32))
def loss(x): return (net(x) * weights).sum()
def other_loss(x): return (other(x) * weights).sum()
results = []
for network, function in ((net, loss), (other, other_loss)):
    mindspore.set_context(mode=mindspore.GRAPH_MODE if network is other else mindspore.PYNATIVE_MODE)
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


def test_channels_last_without_kernels_for_bfloat16(run_python, tmp_path):
    # The layout that oneDNN prefers on processors with AMX, forced here. The kernels are those of a
    # processor with AVX-512 alone, for which oneDNN emulates bfloat16. The reference is MindSpore's own.
    (tmp_path / "channels_last.py").write_text("""
import copy, ctypes, json, mindres, mindspore, numpy
from mindres.native import library
from mindres.models.cifar_resnet import CifarResNet
from mindres.native.accelerate import accelerated
library.ISA = 0x27
assert library.load().blocks[mindspore.float32] in (8, 16), library.load()
functions = ctypes.CDLL(str(library.load().path))
for number in library.ELEMENT_TYPES.values():
    functions.mindres_set_layout(number, 16, 1)
random = numpy.random.default_rng(0)
mindspore.set_seed(0)
net = CifarResNet(1)
for name, parameter in net.parameters_and_names():
    if name.endswith("beta"):
        parameter.set_data(mindspore.Tensor(random.normal(1, 0.3, parameter.shape), mindspore.float32))
images = mindspore.Tensor(random.standard_normal((4, 3, 32, 32), numpy.float32))
weights = mindspore.Tensor(random.standard_normal((4, 64, 8, 8), numpy.float32))
def answers(net, dtype=None):
    def loss(x): return (net(x) * weights).sum()
    trained = net.trainable_params()
    mindspore.set_context(mode=mindspore.GRAPH_MODE if dtype else mindspore.PYNATIVE_MODE)
    with accelerated(*([net] if dtype else []), dtype=dtype or mindspore.float32):
        logits = net.set_train(False)(images).asnumpy()
        _, (dx, gradients) = mindspore.value_and_grad(loss, 0, trained)(images)
        net.set_train()
        _, (dx2, gradients2) = mindspore.value_and_grad(loss, 0, trained)(images)
    return [logits, dx.asnumpy(), dx2.asnumpy(), *(g.asnumpy() for g in (*gradients, *gradients2))]
def cosine(a, b): return float((a * b).sum() / numpy.sqrt((a * a).sum() * (b * b).sum()))
theirs, result = answers(copy.deepcopy(net)), {}
for dtype in library.ELEMENT_TYPES:
    if not library.why_not(dtype):
        ours = answers(copy.deepcopy(net), dtype)
        result[str(dtype)] = [
            cosine(ours[0], theirs[0]),
            min(cosine(a, b) for a, b in zip(ours, theirs) if a.ndim == 4),
        ]
print(json.dumps(result))
""")
    done = run_python("channels_last.py")
    assert done.returncode == 0, done.stderr
    results = json.loads(done.stdout.splitlines()[-1])
    logits, gradients = results.pop("Float32")
    assert logits > 0.999999 and gradients > 0.9999
    assert all(logits > 0.999 and gradients > 0.95 for logits, gradients in results.values())
