"""Grad-CAM and feature maps against PyTorch with the same weights."""

import mindspore
import numpy as np
import pytest

import mindres
from mindres.errors import UserError
from mindres.evaluation import grad_cam, stages

torch = pytest.importorskip("torch")
F = torch.nn.functional


def randomised(net, seed=0):
    """`net` with batch-normalisation statistics and scales that are not those of a fresh network."""
    rng = np.random.default_rng(seed)
    for name, parameter in net.parameters_dict().items():
        if name.endswith(("gamma", "moving_variance")):
            parameter.set_data(
                mindspore.Tensor(rng.uniform(0.5, 1.5, parameter.shape).astype(np.float32))
            )
        if name.endswith(("beta", "moving_mean")):
            parameter.set_data(
                mindspore.Tensor(rng.normal(0, 0.3, parameter.shape).astype(np.float32))
            )
    return net


class Reference:
    """ResNet-18 in plain PyTorch functions on the weights of a MindSpore one; `maps` are its stages' outputs."""

    def __init__(self, net):
        self.weights = {
            name: torch.tensor(p.asnumpy()) for name, p in net.parameters_dict().items()
        }
        self.maps = {}

    def unit(self, x, name, stride, padding, relu=True):
        w = self.weights
        x = F.conv2d(x, w[f"{name}.features.0.weight"], stride=stride, padding=padding)
        x = F.batch_norm(
            x,
            *(
                w[f"{name}.features.1.{k}"]
                for k in ("moving_mean", "moving_variance", "gamma", "beta")
            ),
            eps=1e-5,
        )
        return F.relu(x) if relu else x

    def __call__(self, x):
        x = self.unit(x, "backbone.conv1", 2, 3)
        x = F.max_pool2d(x, 3, 2, 1)
        for stage in (1, 2, 3, 4):
            for block in (0, 1):
                name = f"backbone.layer{stage}.{block}"
                stride = 2 if stage > 1 and block == 0 else 1
                shortcut = (
                    self.unit(x, f"{name}.down_sample", 2, 0, relu=False) if stride == 2 else x
                )
                inner = self.unit(
                    self.unit(x, f"{name}.conv1", stride, 1), f"{name}.conv2", 1, 1, relu=False
                )
                x = F.relu(inner + shortcut)
            self.maps[f"layer{stage}"] = x
            x.requires_grad_(True).retain_grad() if not x.requires_grad else x.retain_grad()
        return F.linear(
            x.mean((2, 3)), self.weights["head.dense.weight"], self.weights["head.dense.bias"]
        )

    def grad_cam(self, images, classes, stage):
        logits = self(torch.tensor(images))
        logits[torch.arange(len(classes)), torch.tensor(classes)].sum().backward()
        maps = self.maps[stage]
        return F.relu((maps.grad.mean((2, 3), keepdim=True) * maps).sum(1)).detach().numpy()


@pytest.fixture(scope="module")
def net():
    mindspore.set_seed(3)
    return randomised(mindres.resnet18(num_classes=10, pad_mode="pad"))


IMAGES = np.random.default_rng(1).normal(size=(3, 3, 64, 64)).astype(np.float32)


def cosine(a, b):
    return float((a * b).sum() / np.linalg.norm(a) / np.linalg.norm(b))


@pytest.mark.parametrize("stage", ["layer2", "layer3", "layer4"])
def test_gradcam_is_pytorchs(net, stage):
    images, classes = (
        np.random.default_rng(1).normal(size=(10, 3, 64, 64)).astype(np.float32),
        [*range(10)],
    )
    expected = Reference(net).grad_cam(images, classes, stage)
    found = grad_cam.grad_cam(net, images, classes, stage)
    assert found.stage == stage and found.classes.tolist() == classes
    speaking = expected.max((1, 2)) > 0
    assert speaking.sum() >= 4
    np.testing.assert_array_equal(found.heat[~speaking], 0)
    for ours, theirs in zip(found.heat[speaking], expected[speaking]):
        assert cosine(ours, theirs) > 0.999
        np.testing.assert_allclose(ours, theirs / theirs.max(), atol=1e-3)


def test_gradcam_by_default_explains_the_likeliest_class_at_the_deepest_useful_stage(net):
    found = grad_cam.grad_cam(net, IMAGES)
    logits = Reference(net)(torch.tensor(IMAGES)).detach().numpy()
    assert found.classes.tolist() == logits.argmax(1).tolist()
    assert (found.stage, found.heat.shape) == ("layer3", (3, 4, 4)), "layer4 has 2x2 cells at 64x64"


def test_feature_maps_are_pytorchs(net):
    reference = Reference(net)
    reference(torch.tensor(IMAGES))
    stage, maps = stages.feature_maps(net, IMAGES, "layer3")
    assert stage == "layer3"
    np.testing.assert_allclose(
        maps, reference.maps["layer3"].detach().numpy(), rtol=1e-3, atol=1e-4
    )
    assert stages.feature_maps(net, IMAGES)[0] == "conv1"


def test_the_networks_and_the_process_are_as_before(net):
    net.set_train(True)
    mindspore.set_context(mode=mindspore.GRAPH_MODE)
    try:
        before = {name: p.asnumpy().copy() for name, p in net.parameters_dict().items()}
        grad_cam.grad_cam(net, IMAGES)
        stages.feature_maps(net, IMAGES)
        assert mindspore.get_context("mode") == mindspore.GRAPH_MODE
        assert net.training and net.backbone.layer1.training
        for name, parameter in net.parameters_dict().items():
            np.testing.assert_array_equal(parameter.asnumpy(), before[name], name)
    finally:
        mindspore.set_context(mode=mindspore.PYNATIVE_MODE)
        net.set_train(False)
    logits = net(mindspore.Tensor(IMAGES)).asnumpy()
    np.testing.assert_allclose(
        logits, Reference(net)(torch.tensor(IMAGES)).detach().numpy(), rtol=1e-3, atol=1e-4
    )


@pytest.mark.parametrize(
    "arch, shape, stage",
    [
        ("lenet5", (1, 32, 32), "conv2"),
        ("convnet", (1, 28, 28), "conv2"),
        ("resnet20", (3, 32, 32), "layer3"),
        ("googlenet", (3, 64, 64), "inception4e"),
    ],
)
def test_gradcam_of_other_networks(arch, shape, stage):
    net = mindres.create_model(arch, num_classes=10)
    found = grad_cam.grad_cam(
        net, np.random.default_rng(0).normal(size=(2, *shape)).astype(np.float32)
    )
    assert found.stage == stage
    assert min(found.heat.shape[1:]) >= 4 and found.heat.shape[0] == 2
    assert found.heat.min() >= 0 and found.heat.max() == pytest.approx(1)


def test_an_unknown_stage_is_named_with_those_there_are(net):
    with pytest.raises(UserError, match=r"no stage 'layer9'.*conv1, max_pool, layer1"):
        grad_cam.grad_cam(net, IMAGES, stage="layer9")
    with pytest.raises(UserError, match="no stage 'layer9'"):
        stages.feature_maps(net, IMAGES, stage="layer9")


def test_first_filters(net):
    weights = stages.first_filters(net)
    assert weights.shape == (64, 3, 7, 7)
    np.testing.assert_array_equal(weights, net.backbone.conv1.features[0].weight.asnumpy())
    with pytest.raises(UserError, match="no convolution"):
        stages.first_filters(mindspore.nn.Dense(2, 2))
