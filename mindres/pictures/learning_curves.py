"""The learning curves of one or several runs."""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from matplotlib.ticker import MaxNLocator

from mindres.evaluation.metrics import METRICS
from mindres.pictures.drawing import Figure, text
from mindres.runs.folder import RunFolder
from mindres.runs.history import read_history

IN_A_ROW = 3


class Panel(NamedTuple):
    """The title of a column of history.csv, and the format of its values."""

    title: str
    form: str


PANELS = {
    "loss": Panel("training loss", ".4f"),
    "val_loss": Panel("validation loss", ".4f"),
    **{
        name: Panel(f"validation {row.title[0].lower()}{row.title[1:]}", ".2%")
        for name, row in METRICS.items()
    },
    "lr": Panel("learning rate", ".2e"),
}


def panels(history) -> dict[str, Panel]:
    """The panels of the columns in a history."""
    return {column: panel for column, panel in PANELS.items() if column in history}


def curves(run_dirs):
    """The learning curves of one or several runs, each a folder with a `history.csv`."""
    return learning_curves({str(run): read_history(RunFolder(run).history) for run in run_dirs})


def learning_curves(runs):
    """Losses, validation metrics and learning rate by epoch, with all runs in each panel.

    Args:
        runs: the history of each run by its name: lists by column, as from `read_history`.
    """
    columns = {name: panel for history in runs.values() for name, panel in panels(history).items()}
    columns = {name: panel for name, panel in PANELS.items() if name in columns}
    rows = math.ceil(len(columns) / IN_A_ROW)
    figure = Figure(figsize=(4 * IN_A_ROW, 3.4 * rows), layout="constrained")
    axes = figure.subplots(rows, IN_A_ROW, squeeze=False).ravel()
    for axis, (column, panel) in zip(axes, columns.items()):
        having = {name: history for name, history in runs.items() if column in history}
        draw_curve(axis, having, column, panel.title)
    for axis in axes[len(columns) :]:
        axis.remove()
    if len(runs) > 1:
        lines, names = figure.axes[0].get_legend_handles_labels()
        legend = figure.legend(lines, names, loc="outside lower center", ncols=4, frameon=False)
        for entry in legend.get_texts():
            entry.set(**text(10))
    return figure


def draw_curve(axis, runs, column, label):
    """Draw a column of each run's history into `axis`; epochs without a value are left out."""
    for name, history in runs.items():
        epochs = np.asarray(history["epoch"], float)
        values = np.asarray(history[column], float)
        known = np.isfinite(values)
        axis.plot(
            epochs[known],
            values[known],
            marker="o" if known.sum() < 30 else None,
            markersize=3,
            # Matplotlib's legend leaves out names that start with an underscore.
            label="\u200b" + name if name.startswith("_") else name,
        )
    axis.set_title(label, fontsize=11)
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.grid(alpha=0.3)
    if column == "lr":
        axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
