"""config.json: the settings of a run, its images, and the versions that it ran with."""

from __future__ import annotations

import json
import platform
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path

import mindspore
import numpy as np

from mindres import __version__
from mindres.data.as_trained import held_out
from mindres.data.build import name_of
from mindres.data.dataset import ImageDataset

# The settings that may differ when a run is resumed.
RUN_ONLY = (
    "ckpt_dir",
    "dataset_path",
    "device_id",
    "device_target",
    "distributed",
    "download",
    "images",
    "linear_probe",
    "max_steps",
    "num_parallel_workers",
    "overwrite",
    "pretrained",
    "resume",
    "tensorboard",
    "time",
)
# The values of settings that earlier versions did not record.
DEFAULTS_OF_OLD_RUNS = {
    "select": "accuracy",
    "balance": "none",
    "split_rule": "order",
    "test_fraction": 0.0,
    "group": None,
    "shortcut": None,
    "cache": "none",
}


def as_json(config: dict) -> dict:
    """`config` as JSON values: paths become strings, and functions are left out."""
    plain = {key: value for key, value in config.items() if not callable(value)}
    return json.loads(json.dumps(plain, default=str))


def data_settings(train_data, val_data) -> dict:
    """The settings of the data, under the names of the flags: its name, its path, its sizes."""
    if not isinstance(train_data, ImageDataset):
        return {"batch_size": train_data.get_batch_size()}
    per_class = np.bincount(train_data.split_labels(), minlength=len(train_data.classes))
    height, width = train_data.resize
    counts = {data.split: len(data) for data in (train_data, val_data) if hasattr(data, "split")}
    return {
        "dataset": name_of(train_data),
        "dataset_path": None if train_data.path is None else str(train_data.path.resolve()),
        "split": getattr(val_data, "split", None),
        "images": {**counts, "train_of_each_class": per_class.tolist()},
        **held_out(train_data),
        "split_rule": train_data.split_rule,
        "resize": height if height == width else [height, width],
        "batch_size": train_data.batch_size,
        "cache": getattr(train_data, "cache", "none"),
    }


def text_of_config(config: dict, run_id: str, seed: int) -> str:
    """The text of config.json: `config`, the command, the time, and the versions of packages."""
    packages = {name: version(name) for name in ("mindspore", "mindvision", "numpy")}
    recorded = {
        "command": _command(),
        "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
        "run": run_id,
        "seed": seed,
        **config,
        "environment": {
            "python": platform.python_version(),
            "platform": platform.platform(),
            "mindres": __version__,
            **packages,
            "device": mindspore.get_context("device_target"),
        },
    }
    return json.dumps(recorded, indent=2) + "\n"


def _command() -> str:
    """The command line of this process, in which `python -m mindres` is mindres."""
    program = Path(sys.argv[0])
    installed = program.name == "mindres" or program.parts[-2:] == ("mindres", "__main__.py")
    return shlex.join(["mindres" if installed else sys.argv[0], *sys.argv[1:]])


def recorded_split_rule(path: Path) -> str | None:
    """The rule by which a run holds validation images out; None if there is no config.json."""
    config, _ = read_config(path)
    return config.get("split_rule", DEFAULTS_OF_OLD_RUNS["split_rule"]) if config else None


def recorded_amp_level(path: Path) -> str | None:
    """The `amp_level` of a run; None if there is no config.json."""
    config, _ = read_config(path)
    return config.get("amp_level")


def read_config(path: Path) -> tuple[dict, str]:
    """The contents of a config.json, and "" or what is wrong with it.

    If something is wrong, such as "is not in the folder", the contents are empty.
    """
    try:
        config = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}, "is not in the folder"
    except (OSError, ValueError, RecursionError) as error:
        return {}, f"cannot be read ({type(error).__name__})"
    return (config, "") if isinstance(config, dict) else ({}, "is not a JSON object")


def difference(mine: dict, theirs: dict, defaults: dict) -> str | None:
    """The first setting in which `mine` differs from the run `theirs` to resume; None for none.

    A setting that `theirs` lacks is newer than that run, which behaved as `defaults` says.
    """
    defaults = {**DEFAULTS_OF_OLD_RUNS, **defaults}
    for key, value in mine.items():
        if key in RUN_ONLY or (key not in theirs and key not in defaults):
            continue
        if key == "batch_size" and "split" not in theirs:
            continue  # runs of version 0.1.0 recorded the recipe's, whatever the data's was
        if json.dumps(value) != json.dumps(theirs.get(key, defaults.get(key))):
            return key
    return None
