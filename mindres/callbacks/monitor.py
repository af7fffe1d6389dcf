"""Validates after each epoch, prints a line, and keeps the best weights."""

from __future__ import annotations

import dataclasses
from functools import partial
from pathlib import Path

import numpy as np
from mindspore.train import Callback

from mindres.callbacks.best_checkpoints import LEAST, BestCheckpoints
from mindres.callbacks.epoch_clock import EpochClock
from mindres.callbacks.epoch_line import epoch_line, progress_bar
from mindres.callbacks.step_state import steps_at_once
from mindres.compat.mindspore import last_learning_rate
from mindres.devices import workers
from mindres.errors import UserError
from mindres.models import save
from mindres.runs.history import EpochRecord
from mindres.weights.metadata import Metadata


class ValAccMonitor(Callback):
    """After each epoch, prints a line and keeps the weights with the best validation metric.

    It has the signature of MindVision's callback, with three differences. The loss is the epoch's
    mean. `best.ckpt` is replaced atomically, so that it is complete at all times. A better one of
    an earlier run stays, see `BestCheckpoints`.

    Args:
        model: a `mindspore.train.Model` with `metric_name` among its metrics.
        dataset_val: validation batches.
        num_epochs: the number of epochs that the model trains for.
        interval, eval_start_epoch: epochs between validations, and the first validated one, from 1.
        save_best_ckpt, ckpt_directory, best_ckpt_name: whether and where the best weights are kept.
        metric_name: name of the metric; more is better.
        dataset_sink_mode: as in `Model.eval`.
        overwrite: replace an earlier run's `best.ckpt` whatever it holds.
        metadata: saved in the checkpoint, see `mindres.save_checkpoint`; `dataset` names the data
            set.
        network, optimizer: the network whose weights are kept, and the optimizer whose learning
            rate is printed; None for the model's.
        keep_best: number of checkpoints to keep by metric; the others are called
            `best-epoch-N.ckpt`.
        select: the row of `METRICS` with the title `metric_name`, if the model's metric
            "validation" is a `ValidationMetrics`; None for any other model.
    """

    def __init__(
        self,
        model,
        dataset_val,
        num_epochs,
        interval=1,
        eval_start_epoch=1,
        save_best_ckpt=True,
        ckpt_directory="./",
        best_ckpt_name="best.ckpt",
        metric_name="Accuracy",
        dataset_sink_mode=True,
        *,
        overwrite=False,
        metadata=None,
        network=None,
        optimizer=None,
        keep_best=1,
        select=None,
    ):
        super().__init__()
        if interval < 1:
            raise UserError(f"interval must be at least 1, not {interval}")
        self.model = model
        self.dataset_val = dataset_val
        self.num_epochs = num_epochs
        self.interval = interval
        self.eval_start_epoch = eval_start_epoch
        self.metric_name = metric_name
        self.select = select
        self.images = ""  # a description of the validation images
        self.dataset_sink_mode = dataset_sink_mode
        self.network = network or model.train_network
        self.optimizer = optimizer
        self.eval_callbacks: list[Callback] | None = None
        self.history: list[EpochRecord] = []
        self.clock = EpochClock()
        self.best_res = LEAST
        # Only the first of several workers prints and writes.
        self.chief = workers.rank() == 0
        self.metadata = Metadata.of(metadata)
        self.checkpoints: BestCheckpoints | None = None
        if save_best_ckpt and self.chief:
            target = Path(ckpt_directory) / best_ckpt_name
            own = {"architecture": getattr(self.network, "architecture", None)}
            compared = dataclasses.replace(self.metadata, metric_name=metric_name, **own)
            self.checkpoints = BestCheckpoints(target, keep_best, overwrite, compared)

    def set_run(self, run: str) -> None:
        """Save the name of the run in the checkpoints from now on."""
        self.metadata = dataclasses.replace(self.metadata, run=run)
        if self.checkpoints is not None:
            self.checkpoints.run = run

    @property
    def best_ckpt_path(self) -> Path | None:
        """The checkpoint of this run's best weights; None if there is none."""
        return self.checkpoints.path if self.checkpoints else None

    def apply_eval(self) -> float:
        """The metric on the validation data."""
        return self._validate()[0]

    def _validate(self) -> tuple[float, float | None, dict[str, float]]:
        """The metric on the validation data, and the loss and all metrics if they are measured."""
        found = self.model.eval(
            self.dataset_val,
            callbacks=self.eval_callbacks,
            dataset_sink_mode=self.dataset_sink_mode,
        )
        if self.select is None:
            return float(found[self.metric_name]), None, {}
        metrics = dict(found["validation"])
        loss = metrics.pop("loss")
        self.metadata = dataclasses.replace(self.metadata, confidence=metrics.pop("confidence"))
        return metrics[self.select], loss, metrics

    def on_train_begin(self, run_context):
        self.clock.start_training()
        self.optimizer = self.optimizer or run_context.original_args().optimizer

    def on_train_epoch_begin(self, run_context):
        self.clock.start_epoch()
        state = run_context.original_args()
        self.progress = progress_bar(state.cur_epoch_num, state.batch_num, self.chief)

    def on_train_step_end(self, run_context):
        self.clock.end_step(run_context.original_args().net_outputs)
        self.progress.update(steps_at_once(run_context.original_args()))

    def on_train_epoch_end(self, run_context):
        self.progress.close()
        state = run_context.original_args()
        if state.get("interrupted"):
            return
        loss = float(np.mean(self.clock.losses()))
        speed = self.clock.images_per_second(state)
        metric, val_loss, metrics = None, None, {}
        since_first = state.cur_epoch_num - self.eval_start_epoch
        if since_first >= 0 and since_first % self.interval == 0:
            workers.share_statistics(self.network)
            metric, val_loss, metrics = self._validate()
        record = EpochRecord(
            epoch=state.cur_epoch_num,
            loss=loss,
            metric=metric,
            lr=last_learning_rate(self.optimizer),
            images_per_second=speed,
            seconds=self.clock.end_epoch(),
            val_loss=val_loss,
            metrics=metrics,
        )
        self.history.append(record)
        left = self.clock.seconds_left(self.num_epochs - record.epoch)
        workers.say(epoch_line(record, self.num_epochs, self.metric_name, self.select, left))
        if metric is not None:
            self.keep_if_best(metric, record.epoch)

    def keep_if_best(self, metric: float, epoch: int) -> None:
        """Keep the current weights if their `metric` is among the best."""
        if self.checkpoints is not None:
            self.checkpoints.consider(metric, epoch, partial(self._save, epoch, metric))
        self.best_res = max(self.best_res, metric)

    def _save(self, epoch: int, metric: float, path: Path) -> None:
        recorded = {"epoch": epoch, "metric_name": self.metric_name, "metric": metric}
        save.save_checkpoint(self.network, path, **self.metadata, **recorded)

    def state(self) -> dict:
        """The state for `restore`."""
        kept = self.checkpoints.state() if self.checkpoints else BestCheckpoints.NOTHING
        return {"best": None if self.best_res == LEAST else self.best_res, **kept}

    def restore(self, history: list[EpochRecord], state: dict) -> None:
        """Continue the run with this history.

        `state` is the result of `state()` with `losses`, those of the steps of an unfinished epoch.
        """
        self.history = history
        self.clock.losses_before = state["losses"]
        self.best_res = LEAST if state["best"] is None else state["best"]
        if self.checkpoints is not None:
            epochs = {r.metric: r.epoch for r in reversed(history) if r.metric is not None}
            self.checkpoints.restore(self.best_res, epochs.get(self.best_res, 0), state)

    def on_train_end(self, run_context):
        state = run_context.original_args()
        over = state.cur_epoch_num >= self.num_epochs or run_context.get_stop_requested()
        if self.checkpoints is not None and over and not state.get("interrupted"):
            for line in self.checkpoints.summary(self.metric_name, self.images):
                workers.say(line)
