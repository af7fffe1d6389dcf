"""`mindres train`: trains a network on a built-in data set or on a folder of images."""

from __future__ import annotations

import time

from mindres.cli.arguments import duration
from mindres.cli.training_data import (
    few_line,
    find_data,
    parts_line,
    settle_balance,
    settle_left_out,
    settle_size,
    settle_splits,
)
from mindres.cli.training_flags import add_training_flags
from mindres.cli.training_options import (
    augmentation_options,
    first_line,
    image_options,
    load_pretrained,
    recipe_values,
    run_options,
    start,
    tell,
)
from mindres.cli.training_plan import make_plan, seconds_left, settle_batch_size, settle_time
from mindres.data import BUILT_IN
from mindres.training.recipes import make_recipe


def add_flags(parser) -> None:
    parser.add_argument(
        "data",
        metavar="DATA",
        help="a folder of class folders, a table of paths and labels (.csv, .tsv, .jsonl, "
        f".parquet), or a built-in data set: {', '.join(BUILT_IN)}",
    )
    parser.add_argument(
        "--time",
        type=duration,
        help="how long to train, such as 90s, 20m or 2h: epochs, learning rate and the like follow "
        "from the data and from a few steps that are tried (default: 20m where neither --epochs "
        "nor another flag of the recipe is given)",
    )
    add_training_flags(parser)
    _add_image_flags(parser.add_argument_group("images"))
    parser.add_argument_group("run").add_argument(
        "--shortcut",
        choices=("A", "B"),
        help="of ResNet-20 to 110, where a stage changes the shape: A pads, B projects (default: "
        "B); published weights have one of them",
    )
    parser.set_defaults(resize=None, validation_fraction=None, select=None, balance=None)


def _add_image_flags(group) -> None:
    add = group.add_argument
    add(
        "--dataset_path",
        help="of a built-in data set: its folder, or the parent (default: ./datasets)",
    )
    add(
        "--test_fraction",
        type=float,
        help="part of the training images that is held out as test images (default: 0.15 where "
        "there are none)",
    )
    add(
        "--group",
        metavar="PATTERN",
        help="regular expression for the part of an image's path, such as 'patient_[0-9]+', or "
        "column of a table, that says which images are never split between training and measuring",
    )
    add(
        "--without",
        metavar="FILE",
        help="leave the images that a check.csv of mindres check names out of training, and broken "
        "ones everywhere; what is measured stays comparable",
    )
    add("--image_column", metavar="NAME", help="column of a table with the paths")
    add("--label_column", metavar="NAME", help="column of a table with the labels")


def run(args) -> None:
    train(args)


def train(args) -> tuple:
    """Do what the flags ask for: the network with its best weights, its history, and the result.

    The result is the sentence on the test images.
    """
    started = time.monotonic()
    args.dataset, args.dataset_path = find_data(args.data, args.dataset_path)
    settle_left_out(args)
    planned = settle_time(args)
    recipe = make_recipe(args.recipe, **recipe_values(args))

    settle_size(args)
    chooses, judged = settle_splits(args)
    device = start(args)
    return train_on(args, _open(args, recipe, chooses, judged), device, planned, started)


def train_on(args, parts, device: str, planned: bool, started: float) -> tuple:
    """What `train` does once the images are open.

    Args:
        parts: the images that train, choose and judge; None for the last where there are none.
        planned: whether what was not given is to be planned for `args.time` from `started` on.
    """
    import mindres
    from mindres.training.test_figure import best_on_test

    train_data, val_data, test_data = parts
    shape = {"num_classes": len(train_data.classes), "in_channels": train_data.channels}
    further = {} if args.shortcut is None else {"shortcut": args.shortcut}
    net = mindres.create_model(args.arch, **shape, **further)
    has_weights = load_pretrained(net, args)
    settle_balance(args, train_data)
    after = 0.0
    if planned:
        after = make_plan(args, net, parts, has_weights, started)
    recipe = make_recipe(args.recipe, **recipe_values(args))
    mindres.say(first_line(args, recipe, device))
    mindres.say(parts_line(train_data, val_data, test_data))
    if told := few_line(args, train_data):
        tell(args, told)
    history = mindres.train(
        net,
        train_data,
        val_data,
        recipe=args.recipe,
        **recipe_values(args),
        freeze=args.freeze,
        ckpt_dir=args.ckpt_dir,
        resume=args.resume,
        max_seconds=seconds_left(args, started, after),
        **run_options(args),
    )
    result = best_on_test(net, history, test_data, recipe.tta)
    mindres.say(result)
    return net, history, result


def _open(args, recipe, chooses: str, judged: bool) -> list:
    """The images that train, choose and judge; None for the last where there are none."""
    from mindres.data import create_dataset

    images = image_options(args, recipe)
    augmented = {**images, **augmentation_options(args, recipe)}
    if args.without:
        augmented["without"] = args.without
    place = (args.dataset, args.dataset_path)
    opened = [
        create_dataset(*place, "train", **augmented),
        create_dataset(*place, chooses, **images),
    ]
    if judged:
        opened.append(create_dataset(*place, "test", **images))
    settle_batch_size(args, recipe, *opened)
    return opened if judged else [*opened, None]
