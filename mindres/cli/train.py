"""`mindres train`: trains a network on a built-in data set or on the user's images."""

from __future__ import annotations

import time

from mindres.cli.arguments import duration
from mindres.cli.training_data import (
    CHECKED,
    balance_line,
    find_data,
    parts_line,
    resolve_balance,
    resolve_left_out,
    resolve_size,
    resolve_splits,
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
)
from mindres.cli.training_plan import make_plan, resolve_batch_size, resolve_time, seconds_left
from mindres.data import BUILT_IN, OWN
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
        help="how long to train, such as 90s, 20m or 2h: epochs, learning rate and the rest are "
        "planned from the data and a few trial steps (default: 20m if neither --epochs nor "
        "another flag of the recipe is given)",
    )
    add_training_flags(parser)
    _add_image_flags(parser.add_argument_group("images"))
    parser.add_argument_group("run").add_argument(
        "--shortcut",
        choices=("A", "B"),
        help="shortcuts of ResNet-20 to 110 where the shape changes: A pads, B projects (default: "
        "B); published weights fit one of the two",
    )
    parser.set_defaults(resize=None, validation_fraction=None, select=None, balance=None)


def _add_image_flags(group) -> None:
    add = group.add_argument
    add(
        "--dataset_path",
        help="folder of a built-in data set, or its parent (default: ./datasets)",
    )
    add(
        "--test_fraction",
        type=float,
        help="fraction of the training images to hold out as test images (default: 0.15 if there "
        "are no test images)",
    )
    add(
        "--group",
        metavar="PATTERN",
        help="regular expression that finds the group in an image's path, such as "
        "'patient_[0-9]+', or the column of a table with the group: images of a group stay in one "
        "split",
    )
    add(
        "--without",
        metavar="FILE",
        help="do not train on the images that this check.csv of mindres check lists; broken "
        "images are left out of validation and test, too, which otherwise stay the same",
    )
    add(
        "--relabel",
        metavar="FILE",
        help="train on the labels that were corrected in the column label of a check.csv of "
        "mindres check; the files stay as they are",
    )
    add("--image_column", metavar="NAME", help="column of a table with the paths")
    add("--label_column", metavar="NAME", help="column of a table with the labels")


def run(args) -> None:
    train(args)


def train(args) -> tuple:
    """Train as the flags say; returns the network with its best weights, the history, the result.

    The result is a sentence about the accuracy on the test images.
    """
    started = time.monotonic()
    args.dataset, args.dataset_path = find_data(args.data, args.dataset_path)
    resolve_left_out(args)
    planned = resolve_time(args)
    recipe = make_recipe(args.recipe, **recipe_values(args))

    resolve_size(args)
    val_split, has_test = resolve_splits(args)
    device = start(args)
    return train_on(args, _open(args, recipe, val_split, has_test), device, planned, started)


def train_on(args, parts, device: str, planned: bool, started: float) -> tuple:
    """Train on open data sets; returns what `train` does.

    Args:
        parts: the training, validation and test images; None for the last if there are none.
        planned: whether to plan what was not given for `args.time`, which began at `started`.
    """
    import mindres
    from mindres.devices import workers
    from mindres.evaluation.likeness import note_likeness
    from mindres.training.test_figure import best_on_test

    train_data, val_data, test_data = parts
    shape = {"num_classes": len(train_data.classes), "in_channels": train_data.channels}
    further = {} if args.shortcut is None else {"shortcut": args.shortcut}
    net = mindres.create_model(args.arch, **shape, **further)
    has_weights = load_pretrained(net, args)
    resolve_balance(args, train_data)
    after = 0.0
    if planned:
        after = make_plan(args, net, parts, has_weights, started)
    recipe = make_recipe(args.recipe, **recipe_values(args))
    mindres.say(first_line(args, recipe, device))
    mindres.say(parts_line(train_data, val_data, test_data))
    if line := balance_line(args, train_data):
        mindres.say(line)
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
    if test_data is not None and history.best_ckpt_path is not None and workers.rank() == 0:
        note_likeness(net, history.best_ckpt_path, val_data)
    return net, history, result


def _open(args, recipe, val_split: str, has_test: bool) -> list:
    """The training, validation and test images; None for the last if there are none."""
    from mindres.data import create_dataset

    images = image_options(args, recipe)
    augmented = {**images, **augmentation_options(args, recipe)}
    augmented |= {name: getattr(args, name) for name in CHECKED if getattr(args, name)}
    place = (args.dataset, args.dataset_path)
    kept = {"cache": args.cache} if args.dataset in OWN else {}
    opened = [
        create_dataset(*place, "train", **augmented),
        create_dataset(*place, val_split, **images, **kept),
    ]
    if has_test:
        opened.append(create_dataset(*place, "test", **images))
    resolve_batch_size(args, recipe, *opened)
    return opened if has_test else [*opened, None]
