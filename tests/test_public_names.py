"""The public surface: every name, spelling and parameter that users and other programs rely on."""

import inspect

import pytest

import mindres

NETWORKS = [
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "wide_resnet50_2",
    "resnext50_32x4d",
    "resnet20",
    "resnet32",
    "resnet44",
    "resnet56",
    "resnet110",
    "lenet5",
    "convnet",
    "alexnet",
    "vgg16",
    "googlenet",
    "inception_v3",
]
FUNCTIONS = [
    "create_model",
    "list_models",
    "load_model",
    "reset_head",
    "load_weights",
    "save_checkpoint",
    "train",
    "evaluate",
    "compare",
    "robustness",
    "predict",
    "export_model",
    "fold_batch_norm",
    "set_device",
    "set_seed",
    "start_workers",
    "say",
]
CLASSES = [
    "UserError",
    "History",
    "ResNet",
    "ResidualBlock",
    "ResidualBlockBase",
    "LossMonitor",
    "ValAccMonitor",
]


def first_parameters(function, count):
    return list(inspect.signature(function).parameters)[:count]


@pytest.mark.parametrize("name", NETWORKS)
def test_networks_are_functions_with_the_promised_arguments(name):
    function = getattr(mindres, name)
    assert inspect.isfunction(function) and function.__name__ == name and function.__doc__
    assert {"num_classes", "pretrained"} <= set(inspect.signature(function).parameters)
    assert first_parameters(function, 1) == ["num_classes"]


@pytest.mark.parametrize("name", FUNCTIONS)
def test_functions(name):
    assert inspect.isfunction(getattr(mindres, name)) and name in dir(mindres)


@pytest.mark.parametrize("name", CLASSES)
def test_classes(name):
    assert inspect.isclass(getattr(mindres, name)) and name in mindres.__all__


def test_the_tutorials_names_are_in_the_package():
    from mindres import ResidualBlock, ResidualBlockBase, ResNet, make_layer

    assert (ResidualBlock.expansion, ResidualBlockBase.expansion) == (4, 1)
    assert first_parameters(make_layer, 5) == [
        "last_out_channel",
        "block",
        "channel",
        "block_nums",
        "stride",
    ]
    assert first_parameters(ResNet, 2) == ["block", "layer_nums"]


def test_data_sets():
    from mindres.data.cifar import Cifar10, Cifar100
    from mindres.data.digits import Digits
    from mindres.data.folder import ImageFolder
    from mindres.data.mnist import Mnist

    wanted = {
        "path",
        "split",
        "batch_size",
        "resize",
        "download",
        "num_shards",
        "shard_id",
        "shuffle",
        "validation_fraction",
        "transform",
        "target_transform",
        "repeat_num",
        "num_parallel_workers",
    }
    from mindres.data.dataset import ImageDataset

    assert wanted <= set(inspect.signature(ImageDataset).parameters)
    for dataset in (Cifar10, Cifar100, Digits, ImageFolder, Mnist):
        assert issubclass(dataset, ImageDataset) and callable(dataset.run)
        assert isinstance(dataset.index2label, property)


def test_callbacks_have_mindvisions_arguments():
    from mindres.callbacks.loss_monitor import LossMonitor
    from mindres.callbacks.monitor import ValAccMonitor

    assert first_parameters(ValAccMonitor, 10) == [
        "model",
        "dataset_val",
        "num_epochs",
        "interval",
        "eval_start_epoch",
        "save_best_ckpt",
        "ckpt_directory",
        "best_ckpt_name",
        "metric_name",
        "dataset_sink_mode",
    ]
    assert first_parameters(LossMonitor, 2) == ["lr_init", "per_print_times"]


def test_pictures_are_functions():
    from mindres import pictures

    for name in (
        "dataset",
        "augmentation",
        "predictions",
        "mistakes",
        "confusion",
        "curves",
        "filters",
        "features",
        "gradcam",
        "samples",
    ):
        assert inspect.isfunction(getattr(pictures, name)), name


@pytest.mark.parametrize(
    "function, names",
    [
        (
            "train",
            [
                "net",
                "train_data",
                "val_data",
                "recipe",
                "freeze",
                "amp_level",
                "mode",
                "ckpt_dir",
                "keep_best",
                "overwrite",
                "resume",
                "max_steps",
                "tensorboard",
                "cache_features",
                "dataset_sink_mode",
                "config",
            ],
        ),
        ("evaluate", ["net", "data", "classes", "tta"]),
        ("predict", ["net", "images"]),
        ("load_weights", ["net", "source"]),
        ("reset_head", ["net", "num_classes"]),
        ("export_model", ["net", "path", "format", "metadata"]),
        ("set_device", ["target", "device_id"]),
    ],
)
def test_arguments_stay_in_their_places(function, names):
    assert first_parameters(getattr(mindres, function), len(names)) == names


@pytest.mark.parametrize(
    "statement",
    [
        "import mindres.resnet50",
        "from mindres.resnet50 import resnet50",
        "import mindres.vgg16",
        "from mindres.lenet5 import lenet5",
        "import mindres.inception_v3",
    ],
)
def test_network_names_can_be_imported_as_modules(statement):
    exec(statement, {})
    assert inspect.isfunction(mindres.resnet50)
