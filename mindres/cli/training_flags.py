"""The flags of `mindres train` and of the training scripts, and what follows from their values."""

from __future__ import annotations

import argparse

from mindres.cli.arguments import non_negative_int, positive_int
from mindres.cli.flags import add_device_flag
from mindres.cli.parser import ArgumentParser
from mindres.data import AUTO_AUGMENT, DATASETS
from mindres.errors import UserError
from mindres.evaluation.metrics import METRICS
from mindres.training.recipes import RECIPES, recipe_options
from mindres.weights.publishers import PUBLISHERS


def training_parser(description: str, example: str, **defaults) -> ArgumentParser:
    """A parser for a training script; `defaults` replaces the defaults of some flags."""
    parser = ArgumentParser(description=description, epilog=f"example:\n  {example}")
    parser.add_argument(
        "--dataset", default="digits", choices=DATASETS, help="default: %(default)s"
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
    """Every flag of a training but for the name and the folder of its data set."""
    _add_device_flags(parser)
    _add_image_flags(parser)
    _add_network_flags(parser)
    _add_run_flags(parser)
    _add_augmentation_flags(parser.add_argument_group("augmentation of training images"))
    _add_recipe_flags(parser.add_argument_group("recipe", "each flag replaces the recipe's value"))


def _add_device_flags(parser) -> None:
    add_device_flag(parser, "where to train (default: auto)")
    parser.add_argument(
        "--device_id",
        type=non_negative_int,
        help="which GPU or Ascend processor, from 0 (default: MindSpore's)",
    )
    parser.add_argument(
        "--amp_level",
        default="auto",
        choices=("auto", "O0", "O1", "O2", "O3"),
        help="mixed precision (default: auto: O0 on CPU, O2 elsewhere)",
    )
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
        help="this is one of the workers that msrun has started; --batch_size is each worker's",
    )


def _add_image_flags(parser) -> None:
    parser.add_argument(
        "--download", action="store_true", help="download the data set if it is not there"
    )
    parser.add_argument(
        "--skip_broken", action="store_true", help="leave broken images of a folder out"
    )
    parser.add_argument(
        "--validation_fraction",
        type=float,
        default=0.0,
        help="validate on this part of the training images in place of the test images "
        "(default: 0)",
    )
    parser.add_argument(
        "--resize",
        type=positive_int,
        default=32,
        help="side of the images in pixels (default: %(default)s)",
    )


def _add_network_flags(parser) -> None:
    parser.add_argument("--arch", default="resnet50", help="network (default: %(default)s)")
    parser.add_argument(
        "--pretrained",
        help="published weights (true), none (false), those of a publisher "
        f"({', '.join(PUBLISHERS)}), a file or a URL; by default published weights where they can "
        "be had, else none",
    )
    parser.add_argument(
        "--freeze",
        default="none",
        help="none, backbone, or the last stage to keep: conv1 to layer4 (default: none)",
    )


def _add_run_flags(parser) -> None:
    add = parser.add_argument
    add("--ckpt_dir", default="ckpt", help="folder of the checkpoints (default: %(default)s)")
    add(
        "--keep_best",
        type=positive_int,
        default=1,
        help="how many checkpoints to keep by the metric of --select (default: 1)",
    )
    add(
        "--select",
        default="accuracy",
        choices=list(METRICS),
        help="validation metric that chooses the best checkpoint, and that --patience waits for "
        "(default: %(default)s)",
    )
    add("--overwrite", action="store_true", help="replace a better best.ckpt of an earlier run")
    add("--resume", action="store_true", help="continue from last.ckpt in --ckpt_dir")
    add("--seed", type=int, default=0, help="of weights, data order and augmentation (default: 0)")
    add("--max_steps", type=positive_int, help="stop after so many steps")
    add(
        "--tensorboard",
        metavar="DIR",
        help="write curves and predictions for TensorBoard to this folder",
    )


def _add_augmentation_flags(group) -> None:
    group.add_argument("--auto_augment", default="none", choices=AUTO_AUGMENT, help="default: none")
    group.add_argument("--random_erasing", type=float, default=0.0, help="probability (default: 0)")
    group.add_argument("--mixup", type=float, default=0.0, help="alpha (default: 0, off)")
    group.add_argument("--cutmix", type=float, default=0.0, help="alpha (default: 0, off)")


def _add_recipe_flags(group) -> None:
    group.add_argument(
        "--recipe", default="tutorial", choices=list(RECIPES), help="default: %(default)s"
    )
    for option in recipe_options():
        if option.kind is bool:
            action = argparse.BooleanOptionalAction
            group.add_argument(f"--{option.name}", action=action, help=option.help)
        elif option.has_flag:
            shown = f"{option.help} (tutorial: {option.default})"
            group.add_argument(f"--{option.name}", type=option.kind, help=shown)


def recipe_values(args) -> dict:
    """The recipe's fields that were given on the command line."""
    given = {option.name: getattr(args, option.name, None) for option in recipe_options()}
    return {name: value for name, value in given.items() if value is not None}


def image_options(args, recipe) -> dict:
    """The options of `create_dataset` for training and validation images."""
    from mindres.data import dataset_class
    from mindres.devices import workers
    from mindres.models.registry import list_models, network
    from mindres.runs.config import noted_split_rule
    from mindres.runs.folder import RunFolder

    options = {
        "batch_size": recipe.batch_size,
        "resize": args.resize,
        "download": args.download,
        "validation_fraction": args.validation_fraction,
        "standardize": recipe.standardize,
        "skip_broken": args.skip_broken,
    }
    if args.distributed:
        options |= {"num_shards": workers.size(), "shard_id": workers.rank()}
    if args.resume:
        # Those that the run held out before, by whatever rule its version had.
        options["split_rule"] = noted_split_rule(RunFolder(args.ckpt_dir).config)
    # Grey images for networks that take these, where the data set has them.
    channels = network(args.arch).input_shape[0] if args.arch in list_models() else None
    if channels in dataset_class(args.dataset).channel_choices:
        options["channels"] = channels
    return options


def augmentation_options(args, recipe) -> dict:
    """The options of `create_dataset` that training images have besides."""
    names = ("auto_augment", "random_erasing", "mixup", "cutmix")
    return {"augment": recipe.augment, **{name: getattr(args, name) for name in names}}


def run_options(args) -> dict:
    """The options of `mindres.train` that say how a run goes, and what it notes of the flags."""
    names = (
        "amp_level",
        "mode",
        "dataset_sink_mode",
        "max_steps",
        "keep_best",
        "select",
        "overwrite",
        "tensorboard",
    )
    of_the_command = ("run", "data")
    config = {name: value for name, value in vars(args).items() if name not in of_the_command}
    return {**{name: getattr(args, name) for name in names}, "config": config}


def load_pretrained(net, args) -> None:
    """Load what --pretrained names; by default published weights, where they can be had.

    Raises:
        UserError: the weights that --pretrained names cannot be had; or none can, and --freeze
            would keep random ones.
    """
    from mindres.devices.workers import say
    from mindres.models.load import load_weights
    from mindres.runs.folder import RunFolder
    from mindres.training.freeze import frozen_stages

    frozen_stages(net, args.freeze)  # a stage that is not there is said before anything is fetched
    if args.pretrained == "false":
        return
    if args.pretrained not in (None, "true"):
        say(str(load_weights(net, args.pretrained)))
        return
    try:
        say(str(load_weights(net, True)))
    except UserError as error:
        if args.pretrained:
            raise
        goes_on = args.resume and RunFolder(args.ckpt_dir).last.exists()
        if args.freeze != "none" and not goes_on:
            raise UserError(
                f"--freeze {args.freeze} would keep random weights as they are, since no published "
                f"weights could be loaded ({error}): name weights with --pretrained, leave "
                "--freeze out, or say --pretrained false if random weights are meant"
            ) from None
        say(f"training from random weights: {error}")
