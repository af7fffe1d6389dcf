"""A linear probe: a classifier fitted to the features of a network by logistic regression.

Training the whole network from there distorts its features less than from a random classifier
(arXiv:2202.10054). The linear probe is also the baseline that training has to beat.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from mindspore import Tensor

from mindres.errors import UserError
from mindres.evaluation.metrics import METRICS, confusion_matrix
from mindres.training.frozen_features import features_of
from mindres.training.kept_features import KeptFeatures

STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # inverse of the L2 penalty, tried on the validation images
MOST_IMAGES = 10_000
ITERATIONS = 100


def classifier(net):
    """The weight (classes, features) and bias (classes,) of the only layer after the features.

    None if the network has no such layer, or several.
    """
    after = [each for each in net.get_parameters() if not each.name.startswith("backbone.")]
    if [each.ndim for each in after] != [2, 1]:
        return None
    return after


def fit_linear_probe(
    net, train_data, val_data, select: str, balanced: bool, amp_level: str = "O0"
) -> float:
    """Replace the classifier of `net` by the best logistic regression on its features.

    The regression is multinomial, on standardised features of at most 10,000 training images
    without augmentation. The validation images choose its penalty. The present classifier stays if
    none is better.

    Args:
        net: a network whose only layer after the features is its classifier.
        train_data, val_data: each an `ImageDataset`.
        select: a row of `METRICS`.
        balanced: whether all classes have equal weight.
        amp_level: mixed precision of the features, "O0" to "O3".

    Returns:
        The metric `select` of the classifier on the validation images.

    Raises:
        UserError: the network ends with something other than one dense layer.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    layer = classifier(net)
    if layer is None:
        raise UserError("a linear probe needs a network that ends with one dense layer")
    features, labels = _some(features_of(net, train_data.plain(), amp_level))
    held_out = features_of(net, val_data.plain(), amp_level)
    measure = partial(_metric, select, held_out, len(layer[1]))
    weight, bias = (each.asnumpy() for each in layer)
    # The present classifier may be for these very classes, trained on more images.
    best = measure(lambda rows: (rows @ weight.T + bias).argmax(axis=1))
    for strength in STRENGTHS:
        weighting = "balanced" if balanced else None
        regression = LogisticRegression(C=strength, max_iter=ITERATIONS, class_weight=weighting)
        model = make_pipeline(StandardScaler(), regression)
        model.fit(features, labels)
        found = measure(model.predict)
        if found > best:
            best = found
            weight, bias = _as_layer(model[0], model[1], layer[0].shape)
    layer[0].set_data(Tensor(weight))
    layer[1].set_data(Tensor(bias))
    return best


def _metric(select: str, held_out: KeptFeatures, classes: int, predict) -> float:
    """The metric of the classes that `predict` gives for features, some rows at a time."""
    predicted = np.concatenate([predict(rows) for _, rows in held_out.pieces()])
    return METRICS[select].value(confusion_matrix(held_out.labels, predicted, classes))


def _some(kept: KeptFeatures) -> tuple[np.ndarray, np.ndarray]:
    chosen = np.arange(len(kept))
    if len(kept) > MOST_IMAGES:
        chosen = np.random.default_rng(0).choice(len(kept), MOST_IMAGES, replace=False)
    return kept.some(chosen), kept.labels[chosen]


def _as_layer(scaler, regression, shape) -> tuple[np.ndarray, np.ndarray]:
    """The weight and bias, float32, of the dense layer equal to scaler and regression."""
    coefficients, intercepts = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # scikit-learn has one row for two classes
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    coefficients = coefficients / scaler.scale_
    intercepts = intercepts - coefficients @ scaler.mean_
    weight = np.zeros(shape, np.float32)
    # A class without training images is never predicted.
    bias = np.full(shape[0], intercepts.min() - 10, np.float32)
    weight[regression.classes_] = coefficients
    bias[regression.classes_] = intercepts
    return weight, bias
