"""Checks the arguments that all data sets take."""

from __future__ import annotations

import math
import os
from pathlib import Path

from mindres.data.augment import policy
from mindres.data.splits import SPLIT_RULES
from mindres.errors import UserError
from mindres.weights.metadata import LARGEST_SIDE


def check(data) -> None:
    """Raise `UserError` for an argument of an `ImageDataset` that is out of range."""
    check_choice(f"{data.name} has no split", data.split, data.splits)
    channels = f"{data.name} has no images of this number of channels:"
    check_choice(channels, data.channels, data.channel_choices)
    check_choice("unknown split_rule", data.split_rule, SPLIT_RULES)
    check_counts(batch_size=data.batch_size, repeat_num=data.repeat_num)
    check_fraction(data.validation_fraction)
    check_augmentation(data.auto_augment, data.random_erasing, data.mixup, data.cutmix)
    check_shard(data.num_shards, data.shard_id)


def check_counts(**counts) -> None:
    """Raise `UserError` for a count below 1."""
    for name, value in counts.items():
        if value < 1:
            raise UserError(f"{name} must be at least 1, not {value}")


def worker_count(wanted: int | None) -> int:
    """The number of threads for images: `wanted`, or one for each available core."""
    if wanted is None:
        return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else _cores()
    check_counts(num_parallel_workers=wanted)
    return min(wanted, _cores())  # MindSpore takes no more


def _cores() -> int:
    return os.cpu_count() or 1


def check_choice(problem: str, value, choices) -> None:
    """Raise a `UserError` that begins with `problem` if `value` is not among `choices`."""
    if value not in choices:
        raise UserError(f"{problem} {value!r}: choose one of {', '.join(map(str, choices))}")


def check_shard(num_shards: int | None, shard_id: int | None) -> None:
    """Raise `UserError` unless both are None, or `shard_id` is in [0, num_shards)."""
    if num_shards is None and shard_id is None:
        return
    if num_shards is None or shard_id is None or not 0 <= shard_id < num_shards:
        raise UserError(f"shard_id must be in [0, num_shards), not {shard_id} of {num_shards}")


def check_fraction(validation_fraction: float) -> None:
    """Raise `UserError` unless the fraction is in [0, 1)."""
    if not 0 <= validation_fraction < 1:
        raise UserError(f"validation_fraction must be in [0, 1), not {validation_fraction}")


def check_augmentation(
    auto_augment: str, random_erasing: float, mixup: float, cutmix: float
) -> None:
    """Raise `UserError` for an unknown policy or a strength out of range."""
    policy(auto_augment)
    if not 0 <= random_erasing <= 1:
        raise UserError(f"random_erasing must be in [0, 1], not {random_erasing}")
    for name, alpha in {"mixup": mixup, "cutmix": cutmix}.items():
        if not 0 <= alpha < math.inf:
            raise UserError(f"{name} must be at least 0, not {alpha}")
    if mixup and cutmix:
        raise UserError("`mixup` and `cutmix` exclude each other: choose one")


def image_size(resize) -> tuple[int, int]:
    """(height, width) in pixels of `resize`, the side of a square or both sides."""
    size = (resize, resize) if isinstance(resize, int) else tuple(resize)
    if not 1 <= min(size) <= max(size) <= LARGEST_SIDE:
        raise UserError(f"resize must be 1 to {LARGEST_SIDE} pixels, not {resize}")
    return size


def existing_folder(path: Path | None, name: str) -> Path:
    """The folder `path` of the data set `name`; raises `UserError` if there is none."""
    if path is None:
        raise UserError(f"{name} needs the folder of its files (`path`)")
    if not path.exists():
        raise UserError(
            f"the data set's folder {path} does not exist: correct `path`, or add `download`"
        )
    if not path.is_dir():
        raise UserError(f"{path} is not a folder: correct `path`")
    return path
