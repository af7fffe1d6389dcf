"""The record of each epoch, written to and read from `history.csv`."""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

from mindres.errors import UserError


@dataclass
class EpochRecord:
    """One epoch: its number from 1, mean training loss, validation metric, learning rate at its end, and speed."""

    epoch: int
    loss: float
    metric: float | None
    lr: float
    images_per_second: float
    seconds: float


# Of a run's history; the first four it must have.
COLUMNS = ("epoch", "loss", "accuracy", "lr", "images_per_second", "seconds")


def read_history(path):
    """The columns of a `history.csv` by name, as lists of floats with NaN where a field is empty.

    They are epoch, loss, accuracy (a fraction), lr, and where they were noted images_per_second and seconds.

    Raises:
        UserError: there is no such file, or it is not a history.
    """
    path = Path(path)
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {
            name: [_value(name, row[name]) for row in rows]
            for name in COLUMNS
            if rows and name in rows[0]
        }
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a run's history: {error}") from None
    lacking = (
        [f"column {name!r}" for name in COLUMNS[:4] if name not in columns] if rows else ["epochs"]
    )
    if lacking:
        raise UserError(f"{path} is no run's history: it has no {lacking[0]}")
    return columns


def _value(name, text):
    value = float("nan" if text == "" else text)
    if (name == "epoch" and not abs(value) <= 1e9) or (
        name == "accuracy" and (value < 0 or value > 1)
    ):
        raise ValueError(f"{text!r} is no {name}")
    return float("inf") if abs(value) > 1e100 else value  # which no axis can show
