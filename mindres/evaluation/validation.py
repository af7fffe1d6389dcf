"""What `Model.eval` measures on the validation images of a training."""

from __future__ import annotations

import numpy as np
from mindspore.train import Metric

from mindres.devices import workers
from mindres.errors import UserError
from mindres.evaluation.metrics import confusion_matrix, measure
from mindres.evaluation.probabilities import log_softmax


class ValidationMetrics(Metric):
    """The mean cross entropy, as "loss", and all of `METRICS`, over the images of all workers.

    Takes logits, float (N, classes), and labels, int (N,) or float (N, classes).
    """

    def __init__(self):
        super().__init__()
        self.clear()

    def clear(self) -> None:
        """Forget the images that were seen."""
        self.loss = 0.0
        self.confusion: np.ndarray | None = None

    def update(self, *inputs) -> None:
        """Count a batch."""
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

    def eval(self) -> dict[str, float]:
        """What was measured, by name."""
        if self.confusion is None:
            raise UserError("there are no images to validate on")
        confusion = workers.total(self.confusion).astype(np.int64)
        loss = float(workers.total(np.array([self.loss]))[0])
        return {"loss": loss / confusion.sum(), **measure(confusion)}
