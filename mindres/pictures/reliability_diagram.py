"""The reliability diagram: how often predictions are correct, by their probability."""

from __future__ import annotations

import numpy as np

from mindres.evaluation.confidence import BINS, calibration_bins, calibration_error
from mindres.evaluation.evaluation import Evaluation
from mindres.pictures.drawing import Figure


def reliability(evaluation: Evaluation):
    """The fraction of correct predictions by their probability, on the diagonal if calibrated.

    If the checkpoint has a temperature, the curve without it is drawn, too.
    """
    figure = Figure(figsize=(4.6, 5.6), layout="constrained")
    top, bottom = figure.subplots(2, sharex=True, height_ratios=(4, 1))
    top.plot([0, 1], [0, 1], color="grey", linewidth=1, linestyle="--")
    right = evaluation.predicted == evaluation.labels
    drawn = {"": evaluation.probabilities}
    if evaluation.temperature != 1:
        drawn = {
            "without temperature": evaluation.without_temperature(),
            f"with temperature {evaluation.temperature:.2f}": evaluation.probabilities,
        }
    for color, (name, probabilities) in zip(("tab:orange", "tab:blue"), drawn.items()):
        confidence = probabilities.max(axis=1)
        bins = calibration_bins(confidence, right)
        there = bins[bins[:, 0] > 0]
        error = f"calibration error {calibration_error(confidence, right):.1%}"
        label = f"{name}: {error}" if name else error
        top.plot(there[:, 1], there[:, 2], marker="o", color=color, label=label)
        bottom.stairs(bins[:, 0], np.linspace(0, 1, BINS + 1), color=color)
    top.set(ylabel="fraction of correct predictions", xlim=(0, 1), ylim=(0, 1.02))
    top.legend(loc="upper left", fontsize="small")
    bottom.set(xlabel="probability of the prediction", ylabel="images")
    return figure
