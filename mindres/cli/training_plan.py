"""`mindres train --time`: plans what was not given for that time."""

from __future__ import annotations

import shlex
import time

from mindres.cli.training_options import recipe_values
from mindres.training.recipes import recipe_options

USUAL_TIME = 20 * 60  # seconds, if no flag says how long to train
# Flags that the command to repeat a run shows beside those of the recipe.
OF_IMAGES = (
    "resize",
    "validation_fraction",
    "test_fraction",
    "group",
    "image_column",
    "label_column",
    "shortcut",
    "linear_probe",
    "balance",
    "select",
)
FEWEST_STEPS = 10  # in an epoch
SMALLEST_BATCH = 8
SHARE_OF_EPOCHS = 0.85  # of the time of a resumed run; the rest is for start, compiler and test


def resolve_time(args) -> bool:
    """Resolve how long to train; returns whether the run is to be planned.

    A resumed run has its recipe already; a finished one gets as many more epochs as fit in --time.
    """
    from mindres.runs.config import read_config
    from mindres.runs.folder import RunFolder

    recorded = read_config(RunFolder(args.ckpt_dir).config)[0] if args.resume else {}
    if recorded:
        if args.time is not None and args.epochs is None:
            args.epochs = _more_epochs(args, recorded)
        _take_recipe(args, recorded)
        return False
    says_how_long = args.max_steps or args.distributed or recipe_values(args)
    if args.time is None and not says_how_long and args.recipe == "tutorial":
        args.time = USUAL_TIME
    return args.time is not None


def _more_epochs(args, recorded: dict) -> int | None:
    """The epochs of a finished run after --time more; None if it is not finished."""
    from mindres.runs.folder import RunFolder
    from mindres.runs.history import read_history

    history = RunFolder(args.ckpt_dir).history
    done = read_history(history) if history.is_file() else {"epoch": [0], "seconds": []}
    if done["epoch"][-1] < recorded.get("epochs", 0):
        return None
    seconds = sorted(done["seconds"])[len(done["seconds"]) // 2]
    return int(done["epoch"][-1]) + max(1, int(SHARE_OF_EPOCHS * args.time / seconds))


def _take_recipe(args, recorded: dict) -> None:
    for option in recipe_options():
        if getattr(args, option.name, None) is None:
            value = recorded.get(option.name)
            setattr(args, option.name, tuple(value) if isinstance(value, list) else value)
    if args.freeze == "none":
        args.freeze = recorded.get("freeze", args.freeze)
    if args.recipe == "tutorial":
        args.recipe = recorded.get("recipe", args.recipe)


def resolve_batch_size(args, recipe, train_data, *others) -> None:
    """Make batches smaller if their size was not given and there are few images.

    A planned run gets at least `FEWEST_STEPS` steps in an epoch, if batches of `SMALLEST_BATCH`
    are enough for that: in fewer, the statistics of normalisation do not follow the weights.
    """
    if args.batch_size is not None:
        return
    images = len(train_data)
    size = min(recipe.batch_size, max(1, 2 ** (images.bit_length() - 2)))
    if args.time is not None and images < FEWEST_STEPS * size:
        size = min(size, max(SMALLEST_BATCH, 2 ** ((images // FEWEST_STEPS).bit_length() - 1)))
    if size < recipe.batch_size:
        args.batch_size = size
        for data in (train_data, *others):
            data.batch_size = size


def make_plan(args, net, parts, has_weights: bool, started: float) -> float:
    """Plan a run of --time and put it into `args`; print it and the command that repeats it.

    Returns:
        The seconds of the time that are reserved to measure the test images.
    """
    from mindres.devices.workers import say
    from mindres.training.budget import in_words
    from mindres.training.plan import plan_training

    say(f"planning for {in_words(args.time)}: timing a few steps")
    given = recipe_values(args)
    spent = time.monotonic() - started
    train_data, val_data, test_data = parts
    tested = 0 if test_data is None else len(test_data)
    plan = plan_training(
        net,
        train_data,
        val_data,
        args.time,
        spent,
        has_weights,
        given,
        test_images=tested,
        freeze=args.freeze,
    )
    for name, value in plan.options.items():
        setattr(args, name, value)
    args.freeze = plan.freeze
    args.linear_probe = args.linear_probe or plan.linear_probe
    args.plan = plan.lines
    for line in plan.lines:
        say(f"  {line}")
    if args.data is not None:  # an open data set of Python has no name
        say(f"to repeat it: {_command(args, plan.options)}")
    return plan.seconds_after


def seconds_left(args, started: float, after: float) -> float | None:
    """The seconds until training is stopped, without `after`; None if there is no limit."""
    return None if args.time is None else args.time - after - (time.monotonic() - started)


def _command(args, options: dict) -> str:
    """The command that does the planned run without planning it again."""
    words = ["mindres", "train", args.data, "--arch", args.arch, "--ckpt_dir", args.ckpt_dir]
    words += ["--pretrained", args.pretrained] if args.pretrained else []
    words += ["--freeze", args.freeze, "--seed", str(args.seed)]
    of_images = {name: getattr(args, name) for name in OF_IMAGES}
    options = {**{name: value for name, value in of_images.items() if value}, **options}
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        else:
            words += [f"--{name}", f"{value:g}" if isinstance(value, float) else str(value)]
    return shlex.join(words)
