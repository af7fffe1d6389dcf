"""The metrics that `Model.eval` measures on the validation images of a run."""

from __future__ import annotations

import numpy as np
from mindspore.train import Metric

from mindres.devices import workers
from mindres.errors import UserError
from mindres.evaluation.confidence import confidence_of
from mindres.evaluation.metrics import confusion_matrix, measure
from mindres.evaluation.probabilities import log_softmax


class ValidationMetrics(Metric):
    """The mean cross entropy, as "loss", and all of `METRICS`, over the images of all workers.

    "confidence" is the result of `confidence_of` on this worker's images. Inputs are logits, float
    (N, classes), and labels, int (N,) or float (N, classes).
    """

    MOST_NUMBERS = 20_000_000  # logits to keep, 80 MB

    def __init__(self):
        super().__init__()
        self.clear()

    def clear(self) -> None:
        """Start again without images."""
        self.loss = 0.0
        self.confusion: np.ndarray | None = None
        self.answers: list[tuple[np.ndarray, np.ndarray]] = []
        self.stride = 1

    def update(self, *inputs) -> None:
        """Add a batch."""
        logits, labels = (self._convert_data(value) for value in inputs)
        if labels.ndim == 2:
            labels = labels.argmax(axis=1)
        classes = logits.shape[1]
        if len(labels) and not 0 <= labels.min() <= labels.max() < classes:
            raise UserError(
                f"the validation data has the label {labels.max()} and the network only {classes} "
                "classes"
            )
        self.loss -= float(log_softmax(logits)[np.arange(len(labels)), labels].sum())
        counts = confusion_matrix(labels, logits.argmax(axis=1), classes)
        self.confusion = counts if self.confusion is None else self.confusion + counts
        self._keep(logits, labels)

    def _keep(self, logits, labels) -> None:
        """Keep the logits of evenly spaced images, and drop every other one when there are many."""
        self.answers.append((logits[:: self.stride].astype(np.float32), labels[:: self.stride]))
        if sum(kept.size for kept, _ in self.answers) > self.MOST_NUMBERS:
            self.answers = [(kept[::2], of[::2]) for kept, of in self.answers]
            self.stride *= 2

    def eval(self) -> dict:
        """The values by name."""
        if self.confusion is None:
            raise UserError("there are no images to validate on")
        confusion = workers.total(self.confusion).astype(np.int64)
        loss = float(workers.total(np.array([self.loss]))[0])
        kept = [np.concatenate(each) for each in zip(*self.answers)]
        sure = confidence_of(*kept) if np.isfinite(kept[0]).all() else None
        return {"loss": loss / confusion.sum(), "confidence": sure, **measure(confusion)}
