"""Stops training when validation no longer improves."""

from __future__ import annotations

import numpy as np
from mindspore.train import Callback

from mindres.devices import workers


class EarlyStop(Callback):
    """Stops the run after `patience` epochs without a better validation metric."""

    def __init__(self, monitor, patience):
        super().__init__()
        self.monitor, self.patience = monitor, patience

    def on_train_epoch_end(self, run_context):
        metrics = [r.metric for r in self.monitor.history if r.metric is not None]
        if metrics and len(metrics) - 1 - int(np.argmax(metrics)) >= self.patience:
            workers.say(
                f"stopping early: no better {self.monitor.metric_name} in {self.patience} epochs"
            )
            run_context.request_stop()
