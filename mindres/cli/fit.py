"""`mindres.fit`: `mindres train DATA --time` for Python and notebooks."""

from __future__ import annotations

import base64
import html
import io
import re
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from mindres.errors import UserError

# Options that an open ImageDataset has settled already.
DATA_OPTIONS = (
    "dataset_path",
    "download",
    "skip_broken",
    "resize",
    "validation_fraction",
    "test_fraction",
    "group",
    "image_column",
    "label_column",
    "batch_size",
    "cache",
    "auto_augment",
    "random_erasing",
    "mixup",
    "cutmix",
)


@dataclass(repr=False)
class Run:
    """What `mindres.fit` returns; a notebook shows its learning curves and a table.

    net: the network with the best weights.
    history: a record of each epoch.
    result: a sentence about the accuracy on the test images.
    folder: the folder of the checkpoints and records.
    plan: the lines of the plan; empty if the run was not planned.
    """

    net: Any
    history: Any
    result: str
    folder: Path
    plan: list[str] = field(default_factory=list)

    def __str__(self) -> str:
        return f"{self.history}\n{self.result}"

    def __repr__(self) -> str:
        return f"Run({self.result})"

    def _repr_html_(self) -> str:
        picture = base64.b64encode(self._curves()).decode()
        curves = f'<img style="max-width: 100%" src="data:image/png;base64,{picture}">'
        count = len(self.history.epochs)
        counted = "1 epoch" if count == 1 else f"{count} epochs"
        table = f"<details><summary>{counted}</summary>{self.history._repr_html_()}</details>"
        lines = "".join(f"<li>{html.escape(line)}</li>" for line in self.plan)
        plan = f"<details><summary>the plan</summary><ul>{lines}</ul></details>" if lines else ""
        return f"<p><b>{html.escape(self.result)}</b></p>{curves}{plan}{table}"

    def _curves(self) -> bytes:
        from mindres.pictures.learning_curves import learning_curves

        lines = [record.columns() for record in self.history.epochs]
        nothing = float("nan")
        columns = {
            name: [nothing if line[name] is None else float(line[name]) for line in lines]
            for name in lines[0]
        }
        buffer = io.BytesIO()
        learning_curves({str(self.folder): columns}).savefig(buffer, format="png", dpi=80)
        return buffer.getvalue()


def fit(data, minutes: float = 20, *, val_data=None, test_data=None, **options) -> Run:
    """Train a network on `data` for `minutes`, as `mindres train DATA --time` does.

    Args:
        data: a folder of class folders, a table of paths and labels, or the name of a built-in
            data set; or the training images as an `ImageDataset` of `mindres.data`.
        minutes: time from the call to its return.
        val_data, test_data: with an `ImageDataset`, the images to choose the best weights by, and
            those to measure them on at the end, which may be left out.
        options: the other flags of `mindres train` by name, such as arch="resnet18", resize=128,
            ckpt_dir="run" or resume=True.

    Raises:
        UserError: an option is unknown or out of range, or the data cannot be read.
    """
    from mindres.cli.train import train
    from mindres.data.dataset import ImageDataset

    if isinstance(data, ImageDataset):
        args = _parsed(data.name, minutes, options)
        net, history, result = _train_on(args, data, val_data, test_data, options)
    elif val_data is not None or test_data is not None:
        raise UserError(
            "val_data and test_data go with an ImageDataset: leave them out, since a folder, a "
            "table or a built-in data set is divided into splits as by mindres train"
        )
    else:
        args = _parsed(data, minutes, options)
        net, history, result = train(args)
    return Run(net, history, result, Path(args.ckpt_dir), getattr(args, "plan", []))


def _parsed(data, minutes: float, options: dict):
    """The arguments of `mindres train` with these options."""
    from mindres.cli.parser import ArgumentParser
    from mindres.cli.train import add_flags

    words = [str(data), "--time", f"{minutes * 60:g}s"]
    for name, value in options.items():
        if isinstance(value, bool):
            words.append(f"--{name}" if value else f"--no-{name}")
        elif value is not None:
            words += [f"--{name}", str(value)]
    parser = ArgumentParser(prog="mindres train")
    add_flags(parser)
    try:
        return parser.parse_args(words)
    except UserError as error:
        named = re.sub(r"(arguments?:?) --(?:no-)?([a-z_]+)", r"\1 `\2`", str(error))
        raise UserError(named) from None


def _train_on(args, train_data, val_data, test_data, options: dict) -> tuple:
    """Train on open data sets, which replace the flags for images."""
    from mindres.cli.train import train_on
    from mindres.cli.training_options import start
    from mindres.cli.training_plan import resolve_time
    from mindres.data.build import name_of
    from mindres.data.dataset import ImageDataset

    if not isinstance(val_data, ImageDataset):
        raise UserError(
            "an ImageDataset to train on needs images to choose the best weights by: give them as "
            'val_data, such as the same data set with split="val"'
        )
    for name in DATA_OPTIONS:
        if name in options:
            raise UserError(
                f"`{name}` is an option of the data set, which is open already: leave it out"
            )
    started = time.monotonic()
    args.data, args.dataset = None, name_of(train_data)
    args.dataset_path = None if train_data.path is None else str(train_data.path)
    args.resize = train_data.resize[0]
    args.validation_fraction = train_data.validation_fraction
    args.batch_size = train_data.batch_size
    planned = resolve_time(args)
    return train_on(args, (train_data, val_data, test_data), start(args), planned, started)
