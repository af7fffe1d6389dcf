"""Validates the weights that a training begins with."""

from __future__ import annotations

from mindspore.train import Callback

from mindres.callbacks.best_checkpoints import LEAST
from mindres.callbacks.monitor import ValAccMonitor
from mindres.devices import workers


class FirstValidation(Callback):
    """Lets `monitor` keep the weights to begin with until an epoch is better.

    A run that goes on has done so.
    """

    def __init__(self, monitor: ValAccMonitor):
        super().__init__()
        self.monitor = monitor

    def on_train_begin(self, run_context):
        if self.monitor.history or self.monitor.best_res != LEAST:
            return
        metric = self.monitor.apply_eval()
        workers.say(f"Before training: {self.monitor.metric_name}: {metric:.4f}")
        self.monitor.keep_if_best(metric, 0)
