"""A linear probe: the classifier fitted to the features of the network as it is.

Training all of a network from there distorts its features less than from a random classifier
(arXiv:2202.10054), and the classifier alone is what it has to beat.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from mindspore import Tensor

from mindres.errors import UserError
from mindres.evaluation.metrics import METRICS, confusion_matrix
from mindres.training.frozen_features import features_of

STRENGTHS = (0.001, 0.01, 0.1, 1.0)  # inverse of the L2 penalty, tried on the validation images
MOST_IMAGES = 10_000
ITERATIONS = 100


def classifier(net):
    """Weight (classes, features) and bias (classes,) of a network's only layer after its features.

    None where there are several, or there is none.
    """
    after = [each for each in net.get_parameters() if not each.name.startswith("backbone.")]
    if [each.ndim for each in after] != [2, 1]:
        return None
    return after


def fit_linear_probe(
    net, train_data, val_data, select: str, balanced: bool, amp_level: str = "O0"
) -> float:
    """Put the best classifier for the network's features into `net`; returns its `select` metric.

    Multinomial logistic regression on standardised features of the training images, not augmented;
    the penalty is chosen on the validation images, and the classifier that is there stays where it
    is as good on these. Of many images 10,000 are taken.

    Args:
        net: a network whose only layer after the features is its classifier.
        train_data, val_data: each an `ImageDataset`.
        select: a row of `METRICS`.
        balanced: whether classes of few images count as much as others.
    """
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    layer = classifier(net)
    if layer is None:
        raise UserError("a linear probe takes a network that ends with one dense layer")
    features, labels = _some(*features_of(net, train_data.plain(), amp_level))
    val_features, val_labels = features_of(net, val_data.plain(), amp_level)
    measure = partial(_metric, select, val_labels, len(layer[1]))
    weight, bias = (each.asnumpy() for each in layer)
    # Published weights may have a classifier for these very classes, learnt from more images.
    best = measure((val_features @ weight.T + bias).argmax(axis=1))
    for strength in STRENGTHS:
        weighting = "balanced" if balanced else None
        regression = LogisticRegression(C=strength, max_iter=ITERATIONS, class_weight=weighting)
        model = make_pipeline(StandardScaler(), regression)
        model.fit(features, labels)
        found = measure(model.predict(val_features))
        if found > best:
            best = found
            weight, bias = _as_layer(model[0], model[1], layer[0].shape)
    layer[0].set_data(Tensor(weight))
    layer[1].set_data(Tensor(bias))
    return best


def _metric(select: str, labels, classes: int, predicted) -> float:
    return METRICS[select].value(confusion_matrix(labels, predicted, classes))


def _some(features, labels) -> tuple[np.ndarray, np.ndarray]:
    if len(labels) <= MOST_IMAGES:
        return features, labels
    chosen = np.random.default_rng(0).choice(len(labels), MOST_IMAGES, replace=False)
    return features[chosen], labels[chosen]


def _as_layer(scaler, regression, shape) -> tuple[np.ndarray, np.ndarray]:
    """The dense layer, float32, that does what scaling and regression do together."""
    coefficients, intercepts = regression.coef_, regression.intercept_
    if len(regression.classes_) == 2:  # for which there is one row
        coefficients = np.concatenate([-coefficients, coefficients]) / 2
        intercepts = np.concatenate([-intercepts, intercepts]) / 2
    coefficients = coefficients / scaler.scale_
    intercepts = intercepts - coefficients @ scaler.mean_
    weight = np.zeros(shape, np.float32)
    # A class without training images is never the answer.
    bias = np.full(shape[0], intercepts.min() - 10, np.float32)
    weight[regression.classes_] = coefficients
    bias[regression.classes_] = intercepts
    return weight, bias
