"""The learning-rate range test: the loss by learning rate, and the rate that it suggests."""

from __future__ import annotations

from mindres.pictures.drawing import Figure


def lr_finder(range_test):
    """Draw a `mindres.training.lr_finder.RangeTest`: each step's loss, and their running mean."""
    figure = Figure(figsize=(7, 4.4), layout="constrained")
    axis = figure.subplots()
    axis.plot(range_test.rates, range_test.losses, ".", alpha=0.4, label="loss of a step")
    axis.plot(range_test.rates, range_test.smoothed(), label="running mean")
    rate = range_test.suggestion
    label = f"suggested: {rate:g}" if range_test.falls else "no clear fall: no suggestion"
    axis.axvline(rate, color="0.4", linestyle="--" if range_test.falls else ":", label=label)
    axis.set_xscale("log")
    lowest = min(range_test.losses)
    axis.set_ylim(top=lowest + 2.5 * max(range_test.losses[0] - lowest, 0.1), bottom=None)
    axis.set_xlabel("learning rate")
    axis.set_ylabel("training loss")
    axis.grid(alpha=0.3)
    axis.legend(frameon=False)
    return figure
