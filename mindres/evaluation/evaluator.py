"""How good a network is on labelled images."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from tqdm import tqdm

from mindres.data.dataset import batches
from mindres.errors import UserError
from mindres.evaluation.inference import inference, logits
from mindres.models.build import check_images
from mindres.signals import listen


@dataclass
class Evaluation:
    """Results over `num_images` images.

    Fractions for `accuracy` and `top5`, the mean cross entropy `loss`, and `confusion_matrix[true, predicted]` in
    images; `classes` are the classes' names. In the order of the images, `labels` and `predicted` are int (N,) and
    `probabilities` float32 (N, classes).
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

    def per_class(self) -> list[dict]:
        """For each class its name as `class`, the fractions `precision`, `recall` and `f1`, and `support` in images.

        A fraction of nothing is 0, as with scikit-learn's `zero_division=0`.
        """
        right = self.confusion_matrix.diagonal()
        said, support = self.confusion_matrix.sum(0), self.confusion_matrix.sum(1)
        scores = zip(
            self.classes,
            right / np.maximum(said, 1),
            right / np.maximum(support, 1),
            2 * right / np.maximum(said + support, 1),
            support,
        )
        return [
            {
                "class": name,
                "precision": float(p),
                "recall": float(r),
                "f1": float(f),
                "support": int(s),
            }
            for name, p, r, f, s in scores
        ]

    def mistakes(self) -> np.ndarray:
        """Positions of the wrongly classified images, the most confident mistake first."""
        wrong = np.flatnonzero(self.predicted != self.labels)
        return wrong[np.argsort(-self.probabilities[wrong].max(axis=1), kind="stable")]

    def to_json(self) -> dict:
        """The results as JSON values; a number that is not finite becomes null."""
        return {
            "accuracy": self.accuracy,
            "top5": self.top5,
            "loss": self.loss if math.isfinite(self.loss) else None,
            "num_images": self.num_images,
            "classes": self.classes,
            "per_class": self.per_class(),
            "confusion_matrix": self.confusion_matrix.tolist(),
        }

    def __str__(self):
        width = max(5, *(len(name) for name in self.classes))
        lines = [
            f"accuracy {self.accuracy:.2%}, top-5 {self.top5:.2%}, loss {self.loss:.4f} on {self.num_images:,} "
            "images",
            "",
            f"{'class':{width}}  precision  recall      f1  images",
        ]
        lines += [
            f"{row['class']:{width}}  {row['precision']:9.2%} {row['recall']:7.2%} {row['f1']:7.2%} "
            f"{row['support']:7,}"
            for row in self.per_class()
        ]
        if len(self.classes) <= 20:
            lines += [
                "",
                "confusion matrix: a row for each true class, a column for each prediction",
            ]
            digits = len(str(self.confusion_matrix.max()))
            lines += [
                f"{name:{width}}  " + " ".join(f"{count:{digits}d}" for count in row)
                for name, row in zip(self.classes, self.confusion_matrix)
            ]
        return "\n".join(lines)


def evaluate(net, data, classes=None, tta=False) -> Evaluation:
    """Measure `net` on every image of `data` once, in graph mode; the caller's mode is set back afterwards.

    Args:
        net: a network of this package.
        data: an `ImageDataset`, or a MindSpore dataset of (image, label) batches.
        classes: the classes' names; None takes the data's, or numbers.
        tta: average the logits of an image and of its mirror image.

    Raises:
        UserError: there are no images, or a label is not one of the network's classes.
    """
    loader = batches(data)
    answers, labels = [], []
    with inference(net):
        size = 0
        for images, batch_labels in tqdm(
            loader.create_tuple_iterator(num_epochs=1, output_numpy=True),
            total=loader.get_dataset_size(),
            desc="evaluating",
            unit="batch",
            disable=None,
            leave=False,
        ):
            listen()
            check_images(net, images.shape[2:])
            size = max(size, len(images))
            answer = logits(net, images, size)
            answers.append((answer + logits(net, images[..., ::-1], size)) / 2 if tta else answer)
            labels.append(batch_labels)
    if not labels:
        raise UserError("there are no images to evaluate")
    scores, labels = np.concatenate(answers).astype(np.float64), np.concatenate(labels)
    count = scores.shape[1]
    if labels.max() >= count or labels.min() < 0:
        raise UserError(
            f"the data has the label {labels.max()} and the network only {count} classes: name the "
            "dataset that it was trained on"
        )
    names = [str(name) for name in (classes or getattr(data, "classes", None) or range(count))]
    if len(names) != count:
        raise UserError(
            f"the data has {len(names)} classes and the network {count}: name the dataset that it was "
            "trained on"
        )
    shifted = scores - scores.max(axis=1, keepdims=True)
    log_probabilities = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    order = np.argsort(-scores, axis=1, kind="stable")
    confusion = np.zeros((count, count), np.int64)
    np.add.at(confusion, (labels, order[:, 0]), 1)
    return Evaluation(
        accuracy=float((order[:, 0] == labels).mean()),
        top5=float((order[:, :5] == labels[:, None]).any(axis=1).mean()),
        loss=float(-log_probabilities[np.arange(len(labels)), labels].mean()),
        num_images=len(labels),
        confusion_matrix=confusion,
        classes=names,
        labels=labels,
        predicted=order[:, 0],
        probabilities=np.exp(log_probabilities).astype(np.float32),
    )
