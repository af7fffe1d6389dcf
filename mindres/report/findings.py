"""Evaluates a network for a report, and chooses the images to show."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from mindres.evaluation.evaluator import Evaluation, evaluate
from mindres.evaluation.grad_cam import grad_cam
from mindres.evaluation.trained_data import visit
from mindres.models.summary import Summary, summarize
from mindres.pictures.drawing import denormalize
from mindres.pictures.heat_map import overlay
from mindres.report.confusion import cells_of_interest, positions_behind
from mindres.report.image_grids import LARGEST_IMAGE, Answer, data_uri
from mindres.report.lookalikes import find_lookalikes

IMAGES_IN_GRIDS = 24
IMAGES_WITH_GRADCAM = 8


@dataclass
class Findings:
    """The evaluation of a network on a data set, and the images that the report shows.

    Images are identified by their position in the data set.

    net: the network.
    some: random images.
    worst: the most confident mistakes, the most confident first.
    classes: the classes that the confusion matrix shows.
    confusions: the most common confusions, (true, predicted).
    behind: the images of each cell of the matrix, by (true, predicted).
    uris: the images as data URIs.
    gradcams: data URIs of the worst mistakes' heat maps for the predicted and the true class.
    stage: the stage of the network that the heat maps explain.
    lookalikes: for the worst mistakes, the nearest training images and their classes.
    """

    net: Any
    data: Any
    result: Evaluation
    summary: Summary
    some: np.ndarray
    worst: np.ndarray
    classes: list[int]
    confusions: list[tuple[int, int]]
    behind: dict[tuple[int, int], np.ndarray]
    uris: dict[int, str]
    gradcams: dict[int, tuple[str, str]]
    stage: str
    lookalikes: dict[int, list[tuple[str, str]]]
    trained: list[int] | None = None  # number of training images per class, if it is known

    def answer(self, position) -> Answer:
        """The prediction for the image at a position."""
        result = self.result
        return Answer(
            self.uris.get(position, ""),
            result.classes[result.predicted[position]],
            result.classes[result.labels[position]],
            result.probabilities[position].max(),
            result.files[position] if result.files else "",
        )


def examine(net, data, tta=False, train=None) -> Findings:
    """Evaluate `net` on the images of `data`, and choose the images to show.

    train: the data set of its training images, if it is known.
    """
    result = evaluate(net, data, tta=tta)
    order = np.random.default_rng(0).permutation(result.num_images)
    some = np.sort(order[:IMAGES_IN_GRIDS])
    worst = result.mistakes()[:IMAGES_IN_GRIDS]
    matrix = result.confusion_matrix
    shown, confusions = cells_of_interest(matrix)
    in_matrix = [(true, predicted) for true in shown for predicted in shown]
    behind = positions_behind(
        result, [cell for cell in in_matrix if matrix[cell]] + list(confusions)
    )
    explained = worst[:IMAGES_WITH_GRADCAM]
    uris = {}
    inputs = {}
    for position, image in visit(data, np.concatenate([some, worst, *behind.values()])):
        uris[position] = data_uri(denormalize(image[None], data.mean, data.std)[0])
        if position in explained:
            inputs[position] = image
    gradcams, stage = _explain(net, data, result, explained, inputs)
    summary = summarize(net, (len(data.mean), *data.resize))
    lookalikes = {}
    if train is not None and inputs:
        theirs = np.union1d(result.labels[explained], result.predicted[explained])
        ordered = {int(i): inputs[i] for i in explained}
        lookalikes = find_lookalikes(net, train, ordered, theirs, summary.multiply_adds)
    return Findings(
        net=net,
        data=data,
        result=result,
        summary=summary,
        some=some,
        worst=worst,
        classes=shown,
        confusions=confusions,
        behind=behind,
        uris=uris,
        gradcams=gradcams,
        stage=stage,
        lookalikes=lookalikes,
    )


def _explain(net, data, result, positions, inputs):
    """The heat maps of the images at `positions` as data URIs, and the stage that they explain."""
    if not len(positions):
        return {}, ""
    images = np.stack([inputs[i] for i in positions])
    shown = denormalize(images, data.mean, data.std)
    for_predicted = grad_cam(net, images, result.predicted[positions])
    for_truth = grad_cam(net, images, result.labels[positions])
    found = {}
    for k, position in enumerate(positions):
        picture = enlarged(shown[k])
        found[int(position)] = (
            data_uri(overlay(picture, for_predicted.heat[k])),
            data_uri(overlay(picture, for_truth.heat[k])),
        )
    return found, for_predicted.stage


def enlarged(image):
    """A small image with repeated pixels, so that the heat map over it is smooth."""
    factor = LARGEST_IMAGE // max(image.shape) or 1
    return np.kron(image, np.ones((factor, factor, 1)))
