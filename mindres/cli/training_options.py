"""The options of recipe, data, network and run that follow from the flags of a training run."""

from __future__ import annotations

from mindres.data import OWN
from mindres.errors import UserError
from mindres.training.recipes import RECIPES, recipe_options


def recipe_values(args) -> dict:
    """The recipe's fields that were given on the command line."""
    given = {option.name: getattr(args, option.name, None) for option in recipe_options()}
    return {name: value for name, value in given.items() if value is not None}


def start(args) -> str:
    """Set the device, start the workers and set the seed; returns the device."""
    import mindres  # its names load MindSpore on first use, which is after the device is set

    device = mindres.set_device(args.device_target, args.device_id)
    if args.distributed:
        mindres.start_workers()
    mindres.set_seed(args.seed)
    return device


def image_options(args, recipe) -> dict:
    """The options of `create_dataset` for training and validation images."""
    from mindres.data import dataset_class
    from mindres.devices import workers
    from mindres.models.registry import list_models, network
    from mindres.runs.config import recorded_split_rule
    from mindres.runs.folder import RunFolder

    options = {
        "batch_size": recipe.batch_size,
        "resize": args.resize,
        "download": args.download,
        "validation_fraction": args.validation_fraction,
        "standardize": recipe.standardize,
        "skip_broken": args.skip_broken,
        "num_parallel_workers": args.num_parallel_workers,
    }
    own = dataset_class(args.dataset).further_options
    options |= {name: getattr(args, name) for name in own if getattr(args, name, None) is not None}
    if args.distributed:
        options |= {"num_shards": workers.size(), "shard_id": workers.rank()}
    if args.resume:
        # Hold out the same images again, by the rule of the version that began the run.
        options["split_rule"] = recorded_split_rule(RunFolder(args.ckpt_dir).config)
    # Grey images for networks that take them, if the data set has them.
    channels = network(args.arch).input_shape[0] if args.arch in list_models() else None
    if channels in dataset_class(args.dataset).channel_choices:
        options["channels"] = channels
    return options


def augmentation_options(args, recipe) -> dict:
    """The further options of `create_dataset` for training images."""
    names = ["auto_augment", "random_erasing", "mixup", "cutmix"]
    if args.dataset in OWN:
        names.append("cache")
    elif args.cache in ("ram", "disk"):
        raise UserError(f"{args.dataset} is in memory already: leave --cache {args.cache} out")
    return {"augment": recipe.augment, **{name: getattr(args, name) for name in names}}


def run_options(args) -> dict:
    """The options of `mindres.train` beside the recipe's, with the flags as `config`."""
    names = (
        "amp_level",
        "mode",
        "dataset_sink_mode",
        "max_steps",
        "keep_best",
        "select",
        "balance",
        "linear_probe",
        "overwrite",
        "tensorboard",
    )
    of_the_command = ("run", "data", "debug")
    config = {name: value for name, value in vars(args).items() if name not in of_the_command}
    return {**{name: getattr(args, name) for name in names}, "config": config}


def first_line(args, recipe, device: str) -> str:
    """The network, data, device, element type, epochs and recipe, in one line."""
    data = getattr(args, "data", None) or args.dataset
    epochs = "1 epoch" if recipe.epochs == 1 else f"{recipe.epochs} epochs"
    batches = f"batches of {recipe.batch_size}"
    where = f"{device} in {_precision(args)}"
    return f"{args.arch} on {data}, {where}: {epochs} in {batches}, {_in_words(args, recipe)}"


def _precision(args) -> str:
    """The element type, and why "auto" is that one."""
    from mindres.native.precision import auto_level, level_in_words
    from mindres.training.arguments import amp_level_of_run

    level = amp_level_of_run(args.amp_level, args.resume, args.ckpt_dir)
    automatic, reason = auto_level()
    if args.amp_level == "auto" and level == automatic:
        return f"{level_in_words(level)} ({reason})"
    return level_in_words(level)


def _in_words(args, recipe) -> str:
    """The recipe's name, or optimizer and schedule if flags replaced these."""
    own = RECIPES[args.recipe]
    if (recipe.optimizer, recipe.schedule) == (own.optimizer, own.schedule):
        return f"{args.recipe} recipe"
    return f"{recipe.optimizer} with the schedule {recipe.schedule}"


def load_pretrained(net, args) -> bool:
    """Load what --pretrained names; by default published weights, if they can be loaded.

    A resumed run has its own weights.

    Returns:
        Whether weights were loaded.

    Raises:
        UserError: the weights that --pretrained names cannot be loaded; or no weights can, and
            --freeze would keep random ones.
    """
    from mindres.devices.workers import say
    from mindres.models.load import load_weights
    from mindres.runs.folder import RunFolder
    from mindres.training.freeze import frozen_stages

    frozen_stages(net, args.freeze)  # an unknown stage is an error before anything is downloaded
    goes_on = args.resume and RunFolder(args.ckpt_dir).last.exists()
    if args.pretrained == "false":
        return False
    if goes_on and args.pretrained is None:
        return False
    if args.pretrained not in (None, "true"):
        say(str(load_weights(net, args.pretrained)))
        return True
    try:
        say(str(load_weights(net, True)))
        return True
    except UserError as error:
        if args.pretrained:
            raise
        if args.freeze != "none":
            raise UserError(
                f"`freeze={args.freeze}` would freeze random weights, since no published weights "
                f"could be loaded ({error}): name weights with `pretrained`, leave `freeze` out, "
                "or give `pretrained=false` to train with frozen random weights"
            ) from None
        say(
            "training from random weights, which takes many more images and epochs than published "
            f"weights do: {error}"
        )
        return False
