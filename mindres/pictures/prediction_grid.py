"""Images with predicted and true classes."""

from __future__ import annotations

from mindres.evaluation.predictor import predict
from mindres.pictures.drawing import image_grid, short
from mindres.pictures.sample_images import Samples

RIGHT = "blue"
WRONG = "red"
UNKNOWN = "black"


def predictions(net, some: Samples):
    """The images with the class that `net` predicts and its probability.

    The title is blue where the prediction is right, and red where it is wrong.
    """
    answer = predict(net, some.inputs)
    predicted = [some.classes[k] for k in answer.classes]
    return prediction_grid(some.shown, predicted, some.names, answer.probabilities.max(axis=1))


def prediction_grid(images, predicted, truth=None, probabilities=None, columns=6):
    """A grid of images titled with the prediction: blue where it is right, red where it is wrong.

    Args:
        images: N images.
        predicted: predicted class names, N of them.
        truth: true class names; None leaves the titles black.
        probabilities: probability of each prediction, shown behind it.
        columns: images in a row.
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
