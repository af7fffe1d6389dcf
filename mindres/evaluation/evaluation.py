"""The results of evaluating a network on labelled images."""

from __future__ import annotations

import html
import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from mindres.evaluation.confidence import calibration_error
from mindres.evaluation.interval import interval_text, wilson
from mindres.evaluation.metrics import METRICS, confusion_matrix, measure
from mindres.evaluation.probabilities import log_softmax, softmax

MOST_CLASSES_IN_TEXT = 20  # up to which the confusion matrix is printed


@dataclass
class Evaluation:
    """Results over `num_images` images.

    accuracy, top5: fractions.
    loss: the mean cross entropy of the logits without temperature.
    confusion_matrix: images by true class (rows) and predicted class (columns).
    classes: the classes' names.
    labels, predicted: int (N,), in the order of the images.
    probabilities: float32 (N, classes), of the logits divided by `temperature`.
    files: the file of each image; None if images have no files of their own.
    temperature: the temperature in the network's metadata, else 1.
    """

    accuracy: float
    top5: float
    loss: float
    num_images: int
    confusion_matrix: np.ndarray
    classes: list[str]
    labels: np.ndarray
    predicted: np.ndarray
    probabilities: np.ndarray
    files: list[str] | None = None
    temperature: float = 1.0

    @property
    def calibration_error(self) -> float:
        """The expected calibration error, a fraction, see `confidence.calibration_error`."""
        return calibration_error(self.probabilities.max(axis=1), self.predicted == self.labels)

    @property
    def metrics(self) -> dict[str, float]:
        """Every metric of `METRICS` by its name, as a fraction."""
        return measure(self.confusion_matrix)

    @property
    def interval(self) -> tuple[float, float]:
        """The 95% interval of the accuracy, from the number of images alone."""
        return wilson(int(self.confusion_matrix.trace()), self.num_images)

    def without_temperature(self) -> np.ndarray:
        """The probabilities of the logits as they are, (N, classes)."""
        with np.errstate(divide="ignore"):
            return softmax(self.temperature * np.log(self.probabilities.astype(np.float64)))

    def per_class(self) -> list[dict]:
        """A dict per class: its name `class`, `precision`, `recall`, `f1` and `support`.

        The scores are fractions, and 0 where they are undefined, like scikit-learn's with
        `zero_division=0`; `support` is the number of images, and
        `recall_interval` the 95% interval of `recall`, None where there are no images.
        """
        right = self.confusion_matrix.diagonal()
        said = self.confusion_matrix.sum(0)
        support = self.confusion_matrix.sum(1)
        precision = right / np.maximum(said, 1)
        recall = right / np.maximum(support, 1)
        f1 = 2 * right / np.maximum(said + support, 1)
        return [
            {
                "class": name,
                "precision": float(precision[k]),
                "recall": float(recall[k]),
                "f1": float(f1[k]),
                "support": int(support[k]),
                "recall_interval": wilson(int(right[k]), int(support[k])) if support[k] else None,
            }
            for k, name in enumerate(self.classes)
        ]

    def mistakes(self) -> np.ndarray:
        """Indices of the misclassified images, the most confident mistakes first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        return wrong[np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")]

    def misclassified(self) -> list[dict]:
        """A dict for each mistake, in the order of `mistakes`.

        `position` is the image's index, `image` its file or None, `true` and `predicted` are class
        names, and `probability` is that of the predicted class.
        """
        return [
            {
                "position": int(i),
                "image": self.files[i] if self.files else None,
                "true": self.classes[self.labels[i]],
                "predicted": self.classes[self.predicted[i]],
                "probability": float(self.probabilities[i].max()),
            }
            for i in self.mistakes()
        ]

    def to_json(self) -> dict:
        """The results as JSON values; a loss that is not finite becomes null."""
        named = {} if self.files is None else {"misclassified": self.misclassified()}
        return {
            "accuracy": self.accuracy,
            "accuracy_interval": list(self.interval),
            "top5": self.top5,
            **self.metrics,
            "loss": self.loss if math.isfinite(self.loss) else None,
            "temperature": self.temperature,
            "calibration_error": self.calibration_error,
            "num_images": self.num_images,
            "classes": self.classes,
            "per_class": self.per_class(),
            "confusion_matrix": self.confusion_matrix.tolist(),
            **named,
        }

    def _summary(self) -> str:
        shares = {METRICS[name].title: value for name, value in self.metrics.items()}
        shares = {"Accuracy": shares.pop("Accuracy"), "Top-5": self.top5, **shares}
        parts = [f"{title[0].lower()}{title[1:]} {value:.2%}" for title, value in shares.items()]
        low, high = self.interval
        parts[0] += f" (95% interval {low:.2%} to {high:.2%})"
        parts += [f"loss {self.loss:.4f}", f"calibration error {self.calibration_error:.2%}"]
        return f"{', '.join(parts)} on {self.num_images:,} images"

    def __str__(self):
        width = max(5, *(len(name) for name in self.classes))
        head = f"{'class':{width}}  precision  recall      f1  images  recall's 95% interval"
        lines = [self._summary(), "", head]
        lines += [
            f"{row['class']:{width}}  {row['precision']:9.2%} {row['recall']:7.2%} "
            f"{row['f1']:7.2%} {row['support']:7,}  {interval_text(row['recall_interval'])}"
            for row in self.per_class()
        ]
        if len(self.classes) <= MOST_CLASSES_IN_TEXT:
            lines += [
                "",
                "confusion matrix: a row for each true class, a column for each prediction",
            ]
            digits = len(str(self.confusion_matrix.max()))
            for name, row in zip(self.classes, self.confusion_matrix):
                counts = " ".join(f"{count:{digits}d}" for count in row)
                lines.append(f"{name:{width}}  {counts}")
        return "\n".join(lines)

    def __repr__(self) -> str:
        return f"Evaluation({self._summary()})"

    def _repr_html_(self) -> str:
        heads = ("class", "precision", "recall", "f1", "images", "recall's 95% interval")
        cells = [f"<th>{name}</th>" for name in heads]
        lines = [f"<tr>{''.join(cells)}</tr>"]
        for row in self.per_class():
            shares = [f"<td>{row[name]:.2%}</td>" for name in ("precision", "recall", "f1")]
            name = f"<td>{html.escape(row['class'])}</td>"
            shares.append(f"<td>{row['support']:,}</td>")
            shares.append(f"<td>{interval_text(row['recall_interval'])}</td>")
            lines.append(f"<tr>{name}{''.join(shares)}</tr>")
        return f"<p>{self._summary()}</p><table>{''.join(lines)}</table>"


def evaluation_of(
    scores: np.ndarray,
    labels: np.ndarray,
    classes: list[str],
    files: Sequence[str] | None = None,
    temperature: float = 1.0,
) -> Evaluation:
    """The evaluation of the logits `scores` (N, classes) against the true `labels`, int (N,)."""
    log_probabilities = log_softmax(scores)
    order = np.argsort(-scores, axis=1, kind="stable")
    return Evaluation(
        accuracy=float((order[:, 0] == labels).mean()),
        top5=float((order[:, :5] == labels[:, None]).any(axis=1).mean()),
        loss=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        num_images=len(labels),
        confusion_matrix=confusion_matrix(labels, order[:, 0], len(classes)),
        classes=classes,
        labels=labels,
        predicted=order[:, 0],
        probabilities=softmax(scores / temperature).astype(np.float32),
        files=None if files is None else list(files),
        temperature=temperature,
    )
