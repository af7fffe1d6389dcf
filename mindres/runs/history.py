"""history.csv: one line per epoch of a run."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from mindres.errors import UserError
from mindres.evaluation.metrics import METRICS


@dataclass
class EpochRecord:
    """One epoch of a run.

    epoch: its number, from 1.
    loss: the mean training loss.
    metric: the validation metric that selects the best weights; None if the epoch was not
        validated.
    lr: the learning rate of its last step.
    images_per_second: the speed of its training steps.
    seconds: its duration, validation included.
    val_loss: the mean cross entropy over the validation images.
    metrics: every validation metric by the name of its row in `METRICS`.
    """

    epoch: int
    loss: float
    metric: float | None
    lr: float
    images_per_second: float
    seconds: float
    val_loss: float | None = None
    metrics: dict[str, float] = field(default_factory=dict)

    def columns(self) -> dict[str, float | None]:
        """The values of the line in history.csv by column."""
        measured = {name: self.metrics.get(name) for name in METRICS}
        if not self.metrics:
            measured["accuracy"] = self.metric  # of a run of version 0.1.0
        return {
            "epoch": self.epoch,
            "loss": self.loss,
            "accuracy": measured.pop("accuracy"),
            "lr": self.lr,
            "images_per_second": self.images_per_second,
            "seconds": self.seconds,
            "val_loss": self.val_loss,
            **measured,
        }


# The columns that a history must have.
REQUIRED = ("epoch", "loss", "accuracy", "lr")


def write_history(path: Path, records: Sequence[EpochRecord]) -> None:
    """Write the lines of `records` to `path`."""
    lines = [record.columns() for record in records]
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, lines[0])
        writer.writeheader()
        writer.writerows(lines)


def read_history(path: Path | str) -> dict[str, list[float]]:
    """The columns of a history.csv by name, as lists of floats, with NaN for empty fields.

    They are epoch, loss, accuracy (a fraction) and lr, and if they were recorded
    images_per_second, seconds, val_loss and the other metrics of `METRICS`, which are fractions.

    Raises:
        UserError: there is no such file, or it is not a history.
    """
    path = Path(path)
    known = EpochRecord(0, 0.0, None, 0.0, 0.0, 0.0).columns()
    try:
        with open(path, encoding="utf-8", newline="") as file:
            rows = list(csv.DictReader(file))
        columns = {
            name: [_value(name, row[name]) for row in rows]
            for name in known
            if rows and name in rows[0]
        }
    except (OSError, ValueError, TypeError, csv.Error) as error:
        raise UserError(f"{path} cannot be read as a run's history: {error}") from None
    if not rows:
        raise UserError(f"{path} is not the history of a run: it has no epochs")
    lacking = [name for name in REQUIRED if name not in columns]
    if lacking:
        raise UserError(f"{path} is not the history of a run: it has no column {lacking[0]!r}")
    return columns


def _value(name: str, text: str) -> float:
    value = float("nan" if text == "" else text)
    too_large = name == "epoch" and not abs(value) <= 1e9
    no_fraction = name in METRICS and (value < 0 or value > 1)
    if too_large or no_fraction:
        raise ValueError(f"{text!r} is not a valid {name}")
    return float("inf") if abs(value) > 1e100 else value  # an axis cannot show larger values
