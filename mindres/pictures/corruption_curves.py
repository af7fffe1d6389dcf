"""How much accuracy is left on corrupted images, by the strength of each corruption."""

from __future__ import annotations

from mindres.evaluation.corruptions import STRENGTHS
from mindres.evaluation.robustness import Robustness
from mindres.pictures.drawing import Figure


def corruptions(robustness: Robustness):
    """A line for each corruption, from the images as they are to the strongest."""
    figure = Figure(figsize=(6.4, 4.2), layout="constrained")
    axis = figure.subplots()
    for number, (name, shares) in enumerate(robustness.corrupted.items()):
        accuracy = [100 * share for share in (robustness.clean, *shares)]
        marker = "osv^Dx+*"[number % 8]
        axis.plot(range(len(accuracy)), accuracy, marker=marker, linewidth=1.2, label=name)
    axis.set_xticks(range(1 + len(STRENGTHS)), ["as they are", *STRENGTHS])
    axis.set(ylabel="accuracy (%)", ylim=(0, 102))
    axis.grid(alpha=0.3)
    axis.legend(fontsize="small", loc="center left", bbox_to_anchor=(1, 0.5))
    return figure
