"""The flags of the training scripts and commands, spelled as MindSpore's model zoo has them."""

from __future__ import annotations

import argparse

from mindres.cli.arguments import non_negative_int, positive_int
from mindres.cli.parser import ArgumentParser
from mindres.devices.runtime import DEVICES
from mindres.errors import UserError
from mindres.training.recipes import RECIPES, recipe_options

DATASETS = ("digits", "cifar10", "cifar100", "mnist", "folder")
AUTO_AUGMENT = ("none", "randaugment", "trivialaugment")
PICTURES = (
    "dataset",
    "augmentation",
    "predictions",
    "mistakes",
    "confusion",
    "curves",
    "filters",
    "features",
    "gradcam",
)


def training_parser(description: str, example: str, **defaults) -> ArgumentParser:
    """A parser with the flags that every training script takes; `defaults` changes some of their defaults."""
    parser = ArgumentParser(description=description, epilog=f"example:\n  {example}")
    add = parser.add_argument
    add("--device_target", default="auto", choices=DEVICES, help="where to train (default: auto)")
    add(
        "--device_id",
        type=non_negative_int,
        help="which GPU or Ascend processor, from 0 (default: MindSpore's)",
    )
    add("--dataset", default="digits", choices=DATASETS, help="default: %(default)s")
    add(
        "--dataset_path",
        default="./datasets",
        help="folder of the dataset or its parent (default: %(default)s)",
    )
    add("--download", action="store_true", help="fetch the dataset if it is not there")
    add("--skip_broken", action="store_true", help="leave broken images of a folder out")
    add(
        "--validation_fraction",
        type=float,
        default=0.0,
        help="validate on this part of the training images in place of the test images (default: 0)",
    )
    add(
        "--resize",
        type=positive_int,
        default=32,
        help="side of the images in pixels (default: %(default)s)",
    )
    add("--arch", default="resnet50", help="network (default: %(default)s)")
    add(
        "--pretrained",
        help="true, false, mindvision, mindcv, a path or a URL; by default published weights where "
        "they can be had, else none",
    )
    add(
        "--freeze",
        default="none",
        help="none, backbone, or the last stage to keep: conv1 to layer4 (default: none)",
    )
    add(
        "--amp_level",
        default="auto",
        choices=("auto", "O0", "O1", "O2", "O3"),
        help="mixed precision (default: auto: O0 on CPU, O2 elsewhere)",
    )
    add(
        "--mode",
        default="graph",
        choices=("graph", "pynative"),
        help="pynative is for debugging (default: graph)",
    )
    add(
        "--dataset_sink_mode",
        action=argparse.BooleanOptionalAction,
        help="keep the steps of an epoch on the device (default: on GPU and Ascend)",
    )
    add("--ckpt_dir", default="ckpt", help="folder of the checkpoints (default: %(default)s)")
    add(
        "--keep_best",
        type=positive_int,
        default=1,
        help="how many checkpoints to keep by accuracy (default: 1)",
    )
    add("--overwrite", action="store_true", help="replace a better best.ckpt of an earlier run")
    add("--resume", action="store_true", help="go on from last.ckpt in --ckpt_dir")
    add("--seed", type=int, default=0, help="of weights, data order and augmentation (default: 0)")
    add("--max_steps", type=positive_int, help="stop after so many steps")
    add(
        "--tensorboard",
        metavar="DIR",
        help="write curves and predictions for TensorBoard to this folder",
    )
    add(
        "--distributed",
        action="store_true",
        help="this is one of the workers that msrun has started; --batch_size is each worker's",
    )
    group = parser.add_argument_group("augmentation of training images")
    group.add_argument("--auto_augment", default="none", choices=AUTO_AUGMENT, help="default: none")
    group.add_argument("--random_erasing", type=float, default=0.0, help="probability (default: 0)")
    group.add_argument("--mixup", type=float, default=0.0, help="alpha (default: 0, off)")
    group.add_argument("--cutmix", type=float, default=0.0, help="alpha (default: 0, off)")
    group = parser.add_argument_group("recipe", "each flag replaces the recipe's value")
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
    parser.set_defaults(**defaults)
    return parser


def recipe_values(args) -> dict:
    """The recipe's fields that were given on the command line."""
    given = {option.name: getattr(args, option.name, None) for option in recipe_options()}
    return {name: value for name, value in given.items() if value is not None}


def load_datasets(args, recipe):
    """The `ImageDataset` to train on and the one to validate on that the flags ask for."""
    held_out = args.validation_fraction > 0 or args.dataset == "folder"
    return load_dataset(args, recipe, "train"), load_dataset(
        args, recipe, "val" if held_out else "test"
    )


def load_dataset(args, recipe, split):
    """One split of the `ImageDataset` that the flags ask for."""
    from mindres.data.index import DATASETS as classes
    from mindres.devices import workers

    options = {
        "batch_size": recipe.batch_size,
        "resize": args.resize,
        "download": args.download,
        "validation_fraction": args.validation_fraction,
        "standardize": recipe.standardize,
    }
    if args.distributed:
        options |= {"num_shards": workers.size(), "shard_id": workers.rank()}
    if args.dataset == "folder":
        options["skip_broken"] = args.skip_broken
    if args.dataset == "mnist":
        options["channels"] = 1 if args.arch in ("lenet5", "convnet") else 3
    if split == "train":
        options["augment"] = recipe.augment
        options |= {
            name: getattr(args, name)
            for name in ("auto_augment", "random_erasing", "mixup", "cutmix")
        }
    return classes[args.dataset](args.dataset_path, split=split, **options)


def train_as_asked(net, train_data, val_data, args):
    """`mindres.train` with everything that the flags ask for."""
    from mindres.training.trainer import train

    return train(
        net,
        train_data,
        val_data,
        recipe=args.recipe,
        **recipe_values(args),
        freeze=args.freeze,
        amp_level=args.amp_level,
        mode=args.mode,
        ckpt_dir=args.ckpt_dir,
        keep_best=args.keep_best,
        overwrite=args.overwrite,
        resume=args.resume,
        max_steps=args.max_steps,
        dataset_sink_mode=args.dataset_sink_mode,
        tensorboard=args.tensorboard,
        config=vars(args),
    )


def load_pretrained(net, source) -> None:
    """Load what --pretrained names; where nothing was asked for, published weights if they can be had."""
    from mindres.devices.workers import say
    from mindres.models.load import load_weights

    if source in ("false", "true"):
        source = source == "true"
    if source is None:
        try:
            say(str(load_weights(net, True)))
        except UserError as error:
            say(f"training from random weights: {error}")
    elif source:
        say(str(load_weights(net, source)))


def network_flags(parser, required=True) -> None:
    """Which network, and where it runs."""
    parser.add_argument(
        "--ckpt",
        required=required,
        metavar="FILE",
        help="weights: a checkpoint of mindres, or another file that mindres convert takes",
    )
    parser.add_argument("--arch", help="network (default: what the file says or shows)")
    parser.add_argument("--device_target", default="auto", choices=DEVICES, help="default: auto")


def data_flags(parser, split="test") -> None:
    """Which images."""
    parser.add_argument(
        "--dataset", choices=DATASETS, help="default: the one that the checkpoint was trained on"
    )
    parser.add_argument(
        "--dataset_path",
        default="./datasets",
        help="folder of the dataset or its parent (default: %(default)s)",
    )
    parser.add_argument(
        "--split", choices=("test", "val", "train"), help=f"part of the dataset (default: {split})"
    )
    parser.add_argument(
        "--validation_fraction",
        type=float,
        default=0.0,
        help="part of the training images that is the split val (default: 0)",
    )


def eval_flags(parser) -> None:
    network_flags(parser)
    data_flags(parser)
    parser.add_argument("--batch_size", type=positive_int, default=64, help="default: %(default)s")
    parser.add_argument(
        "--resize",
        type=positive_int,
        help="side of the images in pixels (default: what the checkpoint says, else the network's)",
    )
    parser.add_argument(
        "--tta",
        action=argparse.BooleanOptionalAction,
        help="average the answers to an image and to its mirror image (default: as in training)",
    )
    parser.add_argument(
        "--plots", metavar="DIR", help="draw confusion.png, mistakes.png and predictions.png there"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def predict_flags(parser) -> None:
    parser.add_argument(
        "images",
        nargs="+",
        metavar="IMAGE",
        help="image files, folders of them, or - for standard input",
    )
    network_flags(parser)
    parser.add_argument(
        "--top_k", type=positive_int, default=3, help="how many classes of each image (default: 3)"
    )
    parser.add_argument(
        "--gradcam", metavar="DIR", help="draw there which part of each image speaks for its class"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON document")


def plot_flags(parser) -> None:
    add = parser.add_argument
    add("what", choices=PICTURES, metavar="PICTURE", help=f"one of {', '.join(PICTURES)}")
    add(
        "runs",
        nargs="*",
        metavar="RUN_DIR",
        help="of curves: the --ckpt_dir of one training or of several",
    )
    network_flags(parser, required=False)
    data_flags(parser, "test; train for dataset and augmentation")
    add(
        "--images",
        metavar="FOLDER",
        help="of predictions, features and gradcam: images in place of a dataset's",
    )
    add("--count", type=positive_int, help="how many images (default: 24; 4 of augmentation)")
    add(
        "--stage",
        help="of features and gradcam: conv1, layer1 ... (default: the first; the deepest with 4x4 cells)",
    )
    add(
        "--auto_augment",
        default="none",
        choices=AUTO_AUGMENT,
        help="of augmentation (default: none)",
    )
    add("--seed", type=int, default=0, help="which images are drawn (default: 0)")
    add("--out", metavar="FILE", help="PNG, SVG or PDF file (default: PICTURE.png)")


def report_flags(parser) -> None:
    add = parser.add_argument
    add("run_dir", metavar="RUN_DIR", help="the --ckpt_dir of a training")
    add("--out", metavar="FILE", help="default: report.html in RUN_DIR")
    add("--ckpt", metavar="FILE", help="default: best.ckpt in RUN_DIR")
    add("--dataset", choices=DATASETS, help="default: the one that the checkpoint was trained on")
    add("--dataset_path", help="folder of the dataset (default: the training's)")
    add(
        "--split",
        default="test",
        choices=("test", "val"),
        help="images to evaluate (default: test)",
    )
    add("--device_target", default="auto", choices=DEVICES, help="default: auto")
