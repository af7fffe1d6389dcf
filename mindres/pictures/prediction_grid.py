"""Images with predicted and true classes."""

from __future__ import annotations

from mindres.evaluation.predictor import predict
from mindres.pictures.drawing import image_grid, short
from mindres.pictures.sample_images import Samples

RIGHT = "blue"
WRONG = "red"
UNKNOWN = "black"


def predictions(net, some: Samples):
    """The images with the predicted class and its probability.

    The title is blue if the prediction is right, and red if it is wrong.
    """
    answer = predict(net, some.inputs)
    predicted = [some.classes[k] for k in answer.classes]
    return prediction_grid(some.shown, predicted, some.names, answer.probabilities.max(axis=1))


def prediction_grid(images, predicted, truth=None, probabilities=None, columns=6):
    """A grid of images titled with the prediction, in blue if it is right, in red if it is wrong.

    Args:
        images: N images.
        predicted: N predicted class names.
        truth: N true class names, or None for black titles.
        probabilities: the probability of each prediction, shown after it.
        columns: images per row.
    """
    return image_grid(images, *captions(predicted, truth, probabilities), columns)


def captions(predicted, truth=None, probabilities=None):
    """The titles of `prediction_grid` and their colours."""
    titles = []
    colors = []
    for i, name in enumerate(predicted):
        share = "" if probabilities is None else f" {probabilities[i]:.0%}"
        title = short(name) + share
        color = UNKNOWN if truth is None else RIGHT
        if truth is not None and name != truth[i]:
            title += f"\nis {short(truth[i])}"
            color = WRONG
        titles.append(title)
        colors.append(color)
    return titles, colors
