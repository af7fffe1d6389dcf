"""Settles the data of `mindres train`: which images train, choose and judge, and their size."""

from __future__ import annotations

from pathlib import Path

from mindres.data import BUILT_IN
from mindres.errors import UserError, suggestion
from mindres.training import balance

# Parts of the training images that are held out where the data has none of their own.
OWN_IMAGES = 0.15
BUILT_IN_IMAGES = 0.1
SMALL_IMAGES = 32  # pixels: the side to which images of built-in data sets are brought


def find_data(data, dataset_path) -> tuple[str, str]:
    """The name of the data set and its place that DATA and --dataset_path stand for."""
    from mindres.data.table import is_table

    if data in BUILT_IN:
        return data, dataset_path or "./datasets"
    place = Path(data)
    if place.exists() and dataset_path:
        raise UserError(
            f"{data} is your own data, so `dataset_path` is of no use: leave it out, or name a "
            f"built-in data set ({', '.join(BUILT_IN)})"
        )
    if place.exists() and is_table(place):
        return "table", data
    if place.is_dir():
        return "folder", data
    if place.exists():
        raise UserError(
            f"{data} is neither a folder nor a table: name the folder that holds the class "
            "folders, or a .csv, .tsv, .jsonl or .parquet file of paths and labels"
        )
    raise UserError(
        f"there is no folder {data}, and no data set of that name: {suggestion(data, BUILT_IN)}"
    )


def settle_splits(args) -> tuple[str, bool]:
    """Fill in how many images are held out; returns the split that chooses, and whether one judges.

    A run that is resumed keeps what it noted. Folders of the data are respected: only what is
    missing is held out.
    """
    from mindres.data import dataset_class
    from mindres.runs.config import read_config
    from mindres.runs.folder import RunFolder

    kind = dataset_class(args.dataset)
    noted = read_config(RunFolder(args.ckpt_dir).config)[0] if args.resume else {}
    part = BUILT_IN_IMAGES if args.dataset in BUILT_IN else OWN_IMAGES
    if (args.test_fraction or args.group) and not kind.further_options:
        raise UserError(
            f"{args.dataset} has test images of its own, and no groups: leave `test_fraction` "
            "and `group` out"
        )
    if noted:
        _take(args, noted)
    own = {name: getattr(args, name) for name in kind.further_options}
    missing = kind.missing_splits(args.dataset_path, **own)
    if args.validation_fraction is None:
        args.validation_fraction = part if "val" in missing else 0.0
    if args.test_fraction is None:
        args.test_fraction = part if "test" in missing else 0.0
    chooses = noted.get("split") or kind.validation_split(args.validation_fraction)
    return chooses, chooses == "val" and ("test" not in missing or args.test_fraction > 0)


def _take(args, noted: dict) -> None:
    """Take what the run noted for what was not given; runs from before test_fraction had none."""
    parts = {"validation_fraction": 0.0, "test_fraction": 0.0}
    columns = {"group": None, "image_column": None, "label_column": None, "shortcut": None}
    classes = {"select": "accuracy", "balance": "none"}
    for name, default in {**parts, **columns, **classes}.items():
        if getattr(args, name) is None:
            setattr(args, name, noted.get(name, default))


def settle_left_out(args) -> None:
    """Leave broken images out where --without names others that are left out."""
    if not args.without:
        return
    if args.dataset in BUILT_IN:
        raise UserError(
            f"`without` leaves images of your own out, and {args.dataset} is a built-in data set: "
            "leave it out"
        )
    args.skip_broken = True


def settle_size(args) -> None:
    """Fill in the side of the images: the network's own, small for the built-in data sets."""
    from mindres.models.registry import network

    if args.resize is None:
        own = network(args.arch).input_shape[-1]
        args.resize = SMALL_IMAGES if args.dataset in BUILT_IN else own


def settle_balance(args, train_data) -> None:
    """Fill in what is done about classes of few images."""
    counts = balance.class_counts(train_data)
    args.balance = balance.settled(args.balance or "auto", counts)
    if args.distributed and args.balance == "sample":
        args.balance = "weight"
    if args.select is None:
        args.select = "balanced_accuracy" if balance.is_uneven(counts) else "accuracy"


def few_line(args, train_data) -> str:
    """What is done about classes of few images, in one line; "" where nothing is."""
    counts = balance.class_counts(train_data)
    return balance.line(counts, train_data.classes, args.balance, args.select)


def parts_line(train_data, val_data, test_data) -> str:
    """How many images do what, in one line."""
    parts = [f"{len(train_data):,} images train"]
    parts.append(f"{len(val_data):,} ({val_data.split}) choose the best weights")
    if test_data is not None:
        parts.append(f"{len(test_data):,} (test) judge them at the end")
    return ", ".join(parts)
