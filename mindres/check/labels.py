"""Finds labels that are probably wrong, by models that were not fitted to the image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mindres.evaluation.likeness import directions

FOLDS = 5
LEAST_IMAGES = 5  # images of a class, so that each fold has one
# Chosen on images other than those of benchmarks/results/check.md.
PENALTY = 0.01  # inverse of the penalty of the logistic regression
WIDTH = 1.0  # of the kernel: by its inverse, times the variance of the features
COMPONENTS = 300  # of the kernel


@dataclass
class LabelIssues:
    """Images whose label is probably wrong, the surest first.

    positions: int (P,).
    scores: 1 minus the probability of the given label, (P,).
    suggestions: the most probable class of each, int (P,).
    """

    positions: NDArray
    scores: NDArray
    suggestions: NDArray


def out_of_sample(
    features: NDArray, labels: NDArray, groups: NDArray, pixels: bool = False
) -> NDArray | None:
    """The class probabilities of each image by models that were fitted to other images.

    This is five-fold cross-validation on the directions of the features. For features of a network
    it is the geometric mean of linear discriminant analysis and of a logistic regression, both of
    the signed square roots (power normalisation, Perronnin et al., 2010); for pixels discriminant
    analysis through a Gaussian kernel (Williams and Seeger, 2001). The images of a group are in the
    same fold. Classes with fewer than five groups are left out: their rows and columns are 0.

    Args:
        features: float (N, D).
        labels: int (N,).
        groups: int (N,).
        pixels: whether the features are pixels.

    Returns:
        float (N, classes), or None if fewer than two classes are left.
    """
    from sklearn.model_selection import StratifiedGroupKFold

    enough = [k for k in np.unique(labels) if len(set(groups[labels == k])) >= LEAST_IMAGES]
    if len(enough) < 2:
        return None
    used = np.flatnonzero(np.isin(labels, enough))
    units = directions(features if pixels else _signed_roots(features))
    found = np.zeros((len(labels), labels.max() + 1))
    folds = StratifiedGroupKFold(FOLDS, shuffle=True, random_state=0)
    for others, held in folds.split(used, labels[used], groups[used]):
        seen, asked = units[used[others]], units[used[held]]
        models = _pixel_models(seen) if pixels else _linear_models()
        fitted = [model.fit(seen, labels[used[others]]) for model in models]
        of_each = [model.predict_proba(asked) for model in fitted]
        found[np.ix_(used[held], fitted[0].classes_)] = _geometric_mean(of_each)
    return found


def _signed_roots(features: NDArray) -> NDArray:
    return np.sign(features) * np.sqrt(np.abs(features))


def _linear_models() -> list:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    return [
        LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"),
        make_pipeline(StandardScaler(), LogisticRegression(C=PENALTY, max_iter=100, tol=1e-2)),
    ]


def _pixel_models(units: NDArray) -> list:
    from sklearn.discriminant_analysis import LinearDiscriminantAnalysis
    from sklearn.kernel_approximation import Nystroem
    from sklearn.pipeline import make_pipeline

    kernel = Nystroem(
        gamma=WIDTH / max(float(units.var(axis=0).sum()), 1e-9),
        n_components=min(COMPONENTS, len(units)),
        random_state=0,
    )
    return [make_pipeline(kernel, LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto"))]


def _geometric_mean(probabilities: list[NDArray]) -> NDArray:
    """Of several models' class probabilities (N, classes), scaled to a sum of 1."""
    logs = [np.log(np.maximum(each, 1e-9)) for each in probabilities]
    mean = np.exp(np.mean(logs, axis=0))
    return mean / mean.sum(axis=1, keepdims=True)


def find_label_issues(probabilities: NDArray, labels: NDArray) -> LabelIssues:
    """Find images that look like another class, by confident learning (Northcutt et al., 2021).

    The threshold of a class is the mean probability of that class over its own images. An image is
    found if the most probable class that reaches its threshold is not the image's label.
    """
    judged = probabilities.sum(axis=1) > 0.5
    own = probabilities[np.arange(len(labels)), labels]
    thresholds = np.full(probabilities.shape[1], np.inf)
    for k in np.unique(labels[judged]):
        thresholds[k] = own[judged & (labels == k)].mean()
    believed = np.where(probabilities >= thresholds, probabilities, 0.0)
    likeliest = believed.argmax(axis=1)
    wrong = judged & (believed.max(axis=1) > 0) & (likeliest != labels)
    wrong &= probabilities.max(axis=1) > own
    positions = np.flatnonzero(wrong)
    positions = positions[np.argsort(own[positions], kind="stable")]
    return LabelIssues(positions, 1 - own[positions], likeliest[positions])
