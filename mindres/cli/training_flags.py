"""The flags of `mindres train` and of the training scripts."""

from __future__ import annotations

import argparse

from mindres.cli.arguments import non_negative_int, positive_int
from mindres.cli.flags import (
    add_amp_flag,
    add_cache_flag,
    add_device_flag,
    add_skip_broken_flag,
    add_workers_flag,
)
from mindres.cli.parser import ArgumentParser
from mindres.data import AUTO_AUGMENT, DATASETS
from mindres.evaluation.metrics import METRICS
from mindres.training.balance import BALANCES
from mindres.training.recipes import RECIPES, recipe_options
from mindres.weights.publishers import PUBLISHERS


def training_parser(description: str, example: str, **defaults) -> ArgumentParser:
    """A parser for a training script; `defaults` replaces the defaults of some flags."""
    parser = ArgumentParser(description=description, epilog=f"example:\n  {example}")
    parser.add_argument(
        "--dataset", default="digits", choices=DATASETS, help="data set (default: %(default)s)"
    )
    parser.add_argument(
        "--dataset_path",
        default="./datasets",
        help="folder of the data set or its parent (default: %(default)s)",
    )
    add_training_flags(parser)
    parser.set_defaults(**defaults)
    return parser


def add_training_flags(parser) -> None:
    """Add every training flag except the name and the folder of the data set."""
    _add_network_flags(parser)
    _add_folder_flags(parser)
    _add_image_flags(parser.add_argument_group("images"))
    _add_run_flags(parser.add_argument_group("run"))
    _add_device_flags(parser.add_argument_group("device"))
    _add_augmentation_flags(parser.add_argument_group("augmentation"))
    _add_recipe_flags(parser.add_argument_group("recipe", "each flag replaces the recipe's value"))


def _add_device_flags(parser) -> None:
    add_device_flag(parser, "device to train on (default: auto)")
    parser.add_argument(
        "--device_id",
        type=non_negative_int,
        help="number of the GPU or Ascend processor, from 0 (default: MindSpore's)",
    )
    add_amp_flag(parser, "auto")
    parser.add_argument(
        "--mode",
        default="graph",
        choices=("graph", "pynative"),
        help="pynative is for debugging (default: graph)",
    )
    parser.add_argument(
        "--dataset_sink_mode",
        action=argparse.BooleanOptionalAction,
        help="keep the steps of an epoch on the device (default: on GPU and Ascend)",
    )
    parser.add_argument(
        "--distributed",
        action="store_true",
        help="this process is a worker that msrun started; --batch_size is per worker",
    )


def _add_image_flags(parser) -> None:
    parser.add_argument(
        "--download", action="store_true", help="download the data set if it is not there"
    )
    add_skip_broken_flag(parser, "")
    add_workers_flag(parser)
    add_cache_flag(parser)
    parser.add_argument(
        "--validation_fraction",
        type=float,
        default=0.0,
        help="fraction of the training images to validate on (default of mindres train: 0.15 of "
        "your own images or 0.1 of a built-in data set, unless it has validation images; of the "
        "scripts: 0, which validates on the test images)",
    )
    parser.add_argument(
        "--resize",
        type=positive_int,
        default=32,
        help="side of the images in pixels (default: 32; with your own images in mindres train, "
        "the network's own)",
    )


def _add_network_flags(parser) -> None:
    parser.add_argument("--arch", default="resnet50", help="network (default: %(default)s)")
    parser.add_argument(
        "--pretrained",
        help="published weights (true), none (false), those of a publisher "
        f"({', '.join(PUBLISHERS)}), a file or a URL (default: published weights if they can be "
        "loaded, else none; in train_cifar10.py and train_mnist.py none)",
    )
    parser.add_argument(
        "--freeze",
        default="none",
        help="last stage to freeze: none, conv1 to layer4, or backbone for all but the classifier "
        "(default: none)",
    )


def _add_folder_flags(parser) -> None:
    add = parser.add_argument
    add("--ckpt_dir", default="ckpt", help="folder of the checkpoints (default: %(default)s)")
    add("--resume", action="store_true", help="continue from last.ckpt in --ckpt_dir")


def _add_run_flags(parser) -> None:
    add = parser.add_argument
    add(
        "--keep_best",
        type=positive_int,
        default=1,
        help="number of checkpoints to keep, by the metric of --select (default: 1)",
    )
    add(
        "--select",
        default="accuracy",
        choices=list(METRICS),
        help="validation metric that chooses the best checkpoint, and that --patience waits for "
        "(default: accuracy)",
    )
    add(
        "--balance",
        default="none",
        choices=("auto", *BALANCES),
        help="how to balance classes of unequal size: sample draws all classes equally often, "
        "weight weights the loss; auto picks sample if the largest class is three times the "
        "smallest (default of mindres train: auto, which then selects by balanced_accuracy; of the "
        "scripts: none)",
    )
    add(
        "--linear_probe",
        action="store_true",
        help="first fit the classifier to the features of the published weights; if no epoch is "
        "better, it is kept",
    )
    add("--overwrite", action="store_true", help="replace a better best.ckpt of an earlier run")
    add(
        "--seed",
        type=int,
        default=0,
        help="seed of weights, data order and augmentation (default: 0)",
    )
    add("--max_steps", type=positive_int, help="stop after this many steps")
    add(
        "--tensorboard",
        metavar="DIR",
        help="folder for TensorBoard's curves and predictions",
    )


def _add_augmentation_flags(group) -> None:
    add = group.add_argument
    add(
        "--auto_augment",
        default="none",
        choices=AUTO_AUGMENT,
        help="random operations on each image (default: none)",
    )
    add(
        "--random_erasing",
        type=float,
        default=0.0,
        help="probability of erasing a rectangle (default: 0)",
    )
    add("--mixup", type=float, default=0.0, help="alpha of mixup (default: 0, off)")
    add("--cutmix", type=float, default=0.0, help="alpha of CutMix (default: 0, off)")


def _add_recipe_flags(group) -> None:
    rows = "; ".join(f"{name}: {recipe.description}" for name, recipe in RECIPES.items())
    rows = rows.replace("%", "%%")  # argparse fills in what follows a single one
    group.add_argument(
        "--recipe", default="tutorial", choices=RECIPES, help=f"{rows} (default: %(default)s)"
    )
    for option in recipe_options():
        if option.kind is bool:
            action = argparse.BooleanOptionalAction
            group.add_argument(f"--{option.name}", action=action, help=option.help)
        elif option.has_flag:
            shown = f"{option.help} (tutorial: {option.default})"
            group.add_argument(f"--{option.name}", type=option.kind, help=shown)
