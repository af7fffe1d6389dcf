"""Validates the initial weights of a run."""

from __future__ import annotations

from mindspore.train import Callback

from mindres.callbacks.best_checkpoints import LEAST
from mindres.callbacks.monitor import ValAccMonitor
from mindres.devices import workers


class FirstValidation(Callback):
    """Lets `monitor` keep the initial weights of a new run until an epoch is better."""

    def __init__(self, monitor: ValAccMonitor):
        super().__init__()
        self.monitor = monitor

    def on_train_begin(self, run_context):
        if self.monitor.history or self.monitor.best_res != LEAST:
            return
        metric = self.monitor.apply_eval()
        workers.say(f"Before training: {self.monitor.metric_name}: {metric:.4f}")
        self.monitor.keep_if_best(metric, 0)
