"""The learning curves of one run or of several."""

from __future__ import annotations

import numpy as np
from matplotlib.ticker import MaxNLocator

from mindres.pictures.drawing import Figure, text
from mindres.runs.folder import RunFolder
from mindres.runs.history import read_history

# What is drawn: columns of history.csv, and their titles.
PANELS = {
    "loss": "training loss",
    "accuracy": "validation accuracy",
    "lr": "learning rate",
}


def curves(run_dirs):
    """The learning curves of one run or of several, each a folder with a `history.csv`."""
    return learning_curves({str(run): read_history(RunFolder(run).history) for run in run_dirs})


def learning_curves(runs):
    """Training loss, validation accuracy and learning rate by epoch, the runs on top of each other.

    Args:
        runs: the history of each run by its name, as lists by column: epoch, loss, accuracy and lr.
    """
    figure = Figure(figsize=(12, 3.4), layout="constrained")
    for axis, (column, label) in zip(figure.subplots(1, len(PANELS)), PANELS.items()):
        draw_curve(axis, runs, column, label)
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
            # A leading underscore would take the name out of the legend.
            label="\u200b" + name if name.startswith("_") else name,
        )
    axis.set_title(label, fontsize=11)
    axis.set_xlabel("epoch")
    axis.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axis.grid(alpha=0.3)
    if column == "lr":
        axis.ticklabel_format(axis="y", style="sci", scilimits=(-2, 3), useMathText=True)
