"""`mindres.summary`: shapes, parameters, multiply-adds and receptive fields, and that it leaves no trace."""

import mindspore
import pytest
from small_networks import zero_model

import mindres
from mindres import UserError
from mindres.models.summary import in_units, summarize


def rows(net, shape):
    return {row.name: row for row in summarize(net, shape).rows}


@pytest.fixture(scope="module")
def resnet50():
    return summarize(zero_model("resnet50"), (3, 224, 224))


def test_resnet50_at_224(resnet50):
    found = resnet50
    assert (found.parameters, found.training_only, found.multiply_adds) == (
        25_557_032,
        0,
        4_089_184_256,
    )
    text = found.layers().splitlines()
    assert text[-3:] == [
        "parameters     25,557,032",
        "multiply-adds  4,089,184,256 (4.09 G)",
        "weights        97.5 MiB in float32",
    ]
    assert len({len(line) for line in text[:-4]}) == 1, "the columns line up"
    assert [line.split() for line in text if line.startswith("backbone.conv1.features.0")] == [
        ["backbone.conv1.features.0", "Conv2d", "64x112x112", "9,408", "118,013,952", "7x7"]
    ]
    assert [line.split() for line in text if line.startswith("head.dense")] == [
        ["head.dense", "Dense", "1000", "2,049,000", "2,048,000", "619x619"]
    ]
    assert "resnet50 at 3x224x224" in text


def test_as_text_it_has_the_stages(resnet50):
    found = resnet50
    # Parameters and multiply-adds of each stage, summed by hand over its convolutions and norms.
    assert [(stage.name, stage.output_shape, stage.parameters) for stage in found.stages] == [
        ("backbone.conv1", (64, 112, 112), 9_536),
        ("backbone.max_pool", (64, 56, 56), 0),
        ("backbone.layer1", (256, 56, 56), 215_808),
        ("backbone.layer2", (512, 28, 28), 1_219_584),
        ("backbone.layer3", (1024, 14, 14), 7_098_368),
        ("backbone.layer4", (2048, 7, 7), 14_964_736),
        ("neck", (2048,), 0),
        ("head", (1000,), 2_049_000),
    ]
    assert sum(stage.multiply_adds for stage in found.stages) == found.multiply_adds
    assert found.stages[-1].multiply_adds == 2_048_000
    assert found.document()["stages"][-1]["output_shape"] == (1000,)
    assert repr(found) == str(found), "a notebook shows it so"


def test_the_stages_of_a_plain_network_follow_each_other():
    found = summarize(mindres.lenet5(), (1, 32, 32))
    assert [(stage.name, stage.output_shape) for stage in found.stages][:6] == [
        ("backbone.conv1", (6, 28, 28)),
        ("backbone.relu", (6, 28, 28)),
        ("backbone.max_pool", (6, 14, 14)),
        ("backbone.conv2", (16, 10, 10)),
        ("backbone.relu", (16, 10, 10)),
        ("backbone.max_pool", (16, 5, 5)),
    ]


def test_the_cifar_resnet_counts_as_its_table_says():
    # Output shapes and parameters of the published table; only its first convolution has a bias, 448 instead of 432.
    found = [
        (row.kind, row.output_shape, row.parameters)
        for row in summarize(mindres.resnet20(), (3, 32, 32)).rows
        if row.kind in ("Conv2d", "BatchNorm2d", "Dense")
    ]
    stage = {16: (32, 2304, 2304, 512), 32: (16, 4608, 9216, 512), 64: (8, 18432, 36864, 2048)}
    expected = [("Conv2d", (16, 32, 32), 432), ("BatchNorm2d", (16, 32, 32), 32)]
    for channels, (side, first, other, shortcut) in stage.items():
        shape = (channels, side, side)
        norm = ("BatchNorm2d", shape, 2 * channels)
        if channels > 16:
            expected += [("Conv2d", shape, shortcut), norm]
        for size in (first, *[other] * 5):
            expected += [("Conv2d", shape, size), norm]
    assert found == [*expected, ("Dense", (10,), 650)]


def test_receptive_fields_of_a_plain_network():
    # Layer by layer r + (k - 1) j, and j times the stride.
    found = rows(mindres.lenet5(), (1, 32, 32))
    assert [
        found[name].receptive_field for name in ("backbone.conv1", "backbone.conv2", "neck.flatten")
    ] == [(5, 5), (14, 14), (32, 32)]
    vgg = [
        row
        for row in summarize(zero_model("vgg16", num_classes=10), (3, 32, 32)).rows
        if row.kind in ("Conv2d", "MaxPool2d")
    ]
    assert [row.receptive_field[0] for row in vgg] == [
        3,
        5,
        6,
        10,
        14,
        16,
        24,
        32,
        40,
        44,
        60,
        76,
        92,
        100,
        132,
        164,
        196,
        212,
    ]
    assert vgg[-1].output_shape == (512, 1, 1)


def test_receptive_fields_follow_branches():
    found = rows(zero_model("inception_v3", num_classes=10), (3, 75, 75))
    field = {
        name: found[f"backbone.{name}"].receptive_field
        for name in (
            "mixed5b.0.features.0",
            "mixed5b.1.1.features.0",
            "mixed5b.3.1.features.0",
            "mixed5c.0.features.0",
            "mixed6b.1.1.features.0",
            "mixed6b.1.2.features.0",
        )
    }
    assert field["mixed5b.0.features.0"] == (31, 31)
    assert field["mixed5b.1.1.features.0"] == (63, 63), "a 5x5 where neighbours are 8 pixels apart"
    assert field["mixed5b.3.1.features.0"] == (47, 47), "3x3 pooling and 1x1"
    assert field["mixed5c.0.features.0"] == (63, 63), "the widest branch"
    height, width = field["mixed6b.1.1.features.0"]
    assert width - height == 6 * 16 and field["mixed6b.1.2.features.0"] == (width, width), (
        "1x7, then 7x1"
    )
    residual = rows(mindres.resnet20(), (3, 32, 32))
    assert residual["backbone.layer2.0.down_sample.features.0"].receptive_field == (15, 15)
    assert residual["backbone.layer2.0.relu"].receptive_field == (21, 21), (
        "the convolutions, not the shortcut"
    )


def test_auxiliary_classifiers_are_counted_but_not_called():
    found = summarize(zero_model("googlenet"), (3, 64, 64))
    assert (found.parameters, found.training_only) == (13_004_888, 6_379_984)
    assert not [row for row in found.rows if row.name.startswith("aux")]
    assert "13,004,888 (6,379,984 of them for training only)" in str(found)


def test_a_layer_that_is_called_twice_is_counted_once():
    found = [
        row for row in summarize(mindres.convnet(), (1, 28, 28)).rows if row.name == "backbone.relu"
    ]
    assert [row.output_shape for row in found] == [(8, 28, 28), (16, 14, 14)]
    assert sum(row.parameters for row in summarize(mindres.convnet(), (1, 28, 28)).rows) == 9_098


def test_mode_training_and_hooks_are_as_before():
    net = mindres.convnet().set_train(True)
    before = mindspore.get_context("mode")
    try:
        for mode in (mindspore.GRAPH_MODE, mindspore.PYNATIVE_MODE):
            mindspore.set_context(mode=mode)
            summarize(net, (1, 28, 28))
            with pytest.raises(UserError):
                summarize(net, (1, 20, 20))
            assert mindspore.get_context("mode") == mode and net.training and net.backbone.training
    finally:
        mindspore.set_context(mode=before)
    calls = len(summarize(net, (1, 28, 28)).rows)
    net(mindspore.ops.ones((1, 1, 28, 28)))
    assert len(summarize(net, (1, 28, 28)).rows) == calls


def test_images_that_do_not_fit():
    with pytest.raises(
        UserError, match=r"^this network takes images of 32x32 pixels, not 28x28: resize them$"
    ):
        summarize(mindres.lenet5(), (1, 28, 28))
    with pytest.raises(
        UserError, match=r"^resnet18 cannot take images of 1x32x32 \(channels x height x width\): "
    ):
        summarize(mindres.resnet18(2), (1, 32, 32))


@pytest.mark.parametrize(
    "number, text",
    [(4_089_184_256, "4.09 G"), (40_813_184, "40.8 M"), (9_098, "9.1 k"), (12, "12")],
)
def test_numbers_as_people_say_them(number, text):
    assert in_units(number) == text
