"""The most confident mistakes of an evaluation."""

from __future__ import annotations

import numpy as np

from mindres.evaluation.evaluation import Evaluation
from mindres.evaluation.trained_data import pick
from mindres.pictures.drawing import denormalize, note
from mindres.pictures.prediction_grid import prediction_grid


def mistakes(evaluation: Evaluation, data, count=24):
    """The most confident mistakes of an evaluation on `data`, the most confident first."""
    worst = evaluation.mistakes()[:count]
    if not len(worst):
        return note(f"no mistakes on {evaluation.num_images:,} images")
    names = np.array(evaluation.classes)
    return prediction_grid(
        denormalize(pick(data, worst), data.mean, data.std),
        names[evaluation.predicted[worst]],
        names[evaluation.labels[worst]],
        evaluation.probabilities[worst].max(axis=1),
    )
