"""Resolves the data of `mindres train`: the data set, its splits, and the size of its images."""

from __future__ import annotations

from pathlib import Path

from mindres.data import BUILT_IN
from mindres.errors import UserError, suggestion
from mindres.training import balance

# Fractions of the training images that are held out if the data has no such split.
OWN_IMAGES = 0.15
BUILT_IN_IMAGES = 0.1
CHECKED = ("without", "relabel")  # flags that take a check.csv of mindres check
SMALL_IMAGES = 32  # pixels: the default side of the images of built-in data sets


def find_data(data, dataset_path) -> tuple[str, str]:
    """The name and the path of the data set that DATA and --dataset_path name."""
    from mindres.data.table import is_table
    from mindres.data.table_rows import READERS

    if data in BUILT_IN:
        return data, dataset_path or "./datasets"
    place = Path(data)
    if place.exists() and dataset_path:
        raise UserError(
            f"{data} is your own data, which needs no `dataset_path`: leave it out, or name a "
            f"built-in data set ({', '.join(BUILT_IN)})"
        )
    if place.exists() and is_table(place):
        return "table", data
    if place.is_dir():
        return "folder", data
    if place.exists():
        raise UserError(
            f"{data} is neither a folder nor a table: name the folder that holds the class "
            f"folders, or a file of paths and labels that ends in {' or '.join(READERS)}"
        )
    raise UserError(
        f"there is no folder {data}, and no data set of that name: {suggestion(data, BUILT_IN)}"
    )


def resolve_splits(args) -> tuple[str, bool]:
    """Resolve how many images are held out.

    A resumed run keeps what it recorded. Only splits that the data does not have are held out.

    Returns:
        The split to validate on, and whether there are test images beside it.
    """
    from mindres.data import dataset_class
    from mindres.runs.config import read_config
    from mindres.runs.folder import RunFolder

    kind = dataset_class(args.dataset)
    recorded = read_config(RunFolder(args.ckpt_dir).config)[0] if args.resume else {}
    part = BUILT_IN_IMAGES if args.dataset in BUILT_IN else OWN_IMAGES
    if (args.test_fraction or args.group) and not kind.further_options:
        raise UserError(
            f"{args.dataset} has test images of its own, and no groups: leave `test_fraction` "
            "and `group` out"
        )
    if recorded:
        _take(args, recorded)
    own = {name: getattr(args, name) for name in kind.further_options}
    missing = kind.missing_splits(args.dataset_path, **own)
    if args.validation_fraction is None:
        args.validation_fraction = part if "val" in missing else 0.0
    if args.test_fraction is None:
        args.test_fraction = part if "test" in missing else 0.0
    split = recorded.get("split") or kind.validation_split(args.validation_fraction)
    return split, split == "val" and ("test" not in missing or args.test_fraction > 0)


def _take(args, recorded: dict) -> None:
    """Fill in what was not given from what the run recorded; old runs lack some of it."""
    parts = {"validation_fraction": 0.0, "test_fraction": 0.0}
    columns = {"group": None, "image_column": None, "label_column": None, "shortcut": None}
    classes = {"select": "accuracy", "balance": "none"}
    for name, default in {**parts, **columns, **classes}.items():
        if getattr(args, name) is None:
            setattr(args, name, recorded.get(name, default))


def resolve_left_out(args) -> None:
    """Leave broken images out if --without names images to leave out."""
    given = [f"`{name}`" for name in CHECKED if getattr(args, name)]
    if given and args.dataset in BUILT_IN:
        raise UserError(
            f"{given[0]} is for images of your own, and {args.dataset} is a built-in data set: "
            f"leave {given[0]} out"
        )
    args.skip_broken |= bool(args.without)


def resolve_size(args) -> None:
    """Resolve the side of the images: the network's own, or small for built-in data sets."""
    from mindres.models.registry import network

    if args.resize is None:
        own = network(args.arch).input_shape[-1]
        args.resize = SMALL_IMAGES if args.dataset in BUILT_IN else own


def resolve_balance(args, train_data) -> None:
    """Resolve how classes are balanced, and the metric that chooses the best weights."""
    counts = balance.class_counts(train_data)
    args.balance = balance.resolved(args.balance or "auto", counts)
    if args.distributed and args.balance == "sample":
        args.balance = "weight"
    if args.select is None:
        args.select = "balanced_accuracy" if balance.is_uneven(counts) else "accuracy"


def balance_line(args, train_data) -> str:
    """How classes are balanced, in one line; "" if they are not."""
    counts = balance.class_counts(train_data)
    return balance.line(counts, train_data.classes, args.balance, args.select)


def parts_line(train_data, val_data, test_data) -> str:
    """How many images train, validate and test, in one line."""
    parts = [f"{len(train_data):,} images to train on"]
    if changed := getattr(train_data, "relabelled", ()):
        parts[0] += f" ({len(changed):,} relabelled)"
    parts.append(f"{len(val_data):,} ({val_data.split}) to choose the best weights")
    if test_data is not None:
        parts.append(f"{len(test_data):,} (test) to measure them at the end")
    return ", ".join(parts)
