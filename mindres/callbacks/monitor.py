"""Validates after each epoch, prints a line, and keeps the best weights."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path

import numpy as np
from mindspore.train import Callback

from mindres.callbacks.best_checkpoints import LEAST, BestCheckpoints
from mindres.callbacks.epoch_line import epoch_line, progress_bar
from mindres.callbacks.step_state import loss_of, steps_at_once
from mindres.compat.mindspore import last_learning_rate
from mindres.devices import workers
from mindres.errors import UserError
from mindres.models import save
from mindres.runs.history import EpochRecord
from mindres.weights.metadata import Metadata


class ValAccMonitor(Callback):
    """After each epoch, prints a line and keeps the weights with the best validation metric.

    MindVision's signature and file, with three differences. The loss is the epoch's mean.
    `best.ckpt` is written beside and renamed over, so that it is whole at every instant. And a
    better one of an earlier run stays, see `BestCheckpoints`.

    Args:
        model: a `mindspore.train.Model` with `metric_name` among its metrics.
        dataset_val: validation batches.
        num_epochs: for how many epochs the model trains.
        interval: epochs between two evaluations.
        eval_start_epoch: first epoch that is evaluated, from 1.
        save_best_ckpt: whether to keep the best weights at all.
        ckpt_directory, best_ckpt_name: where.
        metric_name: name of the metric; more is better.
        dataset_sink_mode: as in `Model.eval`.
        overwrite: replace an earlier run's `best.ckpt` whatever it holds.
        metadata: noted in the checkpoint, see `mindres.save_checkpoint`; `dataset` names the data
            set.
        network: the network whose weights are kept; the model's where None.
        optimizer: whose learning rate is printed; the model's where None.
        keep_best: how many checkpoints to keep by metric; the others are called
            `best-epoch-N.ckpt`.
        select: the row of `METRICS` that `metric_name` is the title of, where the model's metric
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
        self.dataset_sink_mode = dataset_sink_mode
        self.network = network or model.train_network
        self.optimizer = optimizer
        self.eval_callbacks: list[Callback] | None = None
        self.history: list[EpochRecord] = []
        # The losses of this epoch's steps that ran before an interruption.
        self.losses_before: list[float] = []
        self.best_res = LEAST
        self.started = 0.0
        self.epochs_done = 0
        # Of several workers the first one prints and writes.
        self.chief = workers.rank() == 0
        self.metadata = Metadata.of(metadata)
        self.checkpoints: BestCheckpoints | None = None
        if save_best_ckpt and self.chief:
            target = Path(ckpt_directory) / best_ckpt_name
            compared = dataclasses.replace(
                self.metadata,
                architecture=getattr(self.network, "architecture", None),
                metric_name=metric_name,
            )
            self.checkpoints = BestCheckpoints(target, keep_best, overwrite, compared)

    def note_run(self, run: str) -> None:
        """Note this name of the run in the checkpoints."""
        self.metadata = dataclasses.replace(self.metadata, run=run)
        if self.checkpoints is not None:
            self.checkpoints.run = run

    @property
    def best_ckpt_path(self) -> Path | None:
        """The checkpoint of this run's best weights; None where there is none."""
        return self.checkpoints.path if self.checkpoints else None

    def apply_eval(self) -> float:
        """The metric on the validation data."""
        return self._validate()[0]

    def _validate(self) -> tuple[float, float | None, dict[str, float]]:
        """The metric, the loss and all metrics by name on the validation data.

        A model of somebody else's has the metric alone.
        """
        found = self.model.eval(
            self.dataset_val,
            callbacks=self.eval_callbacks,
            dataset_sink_mode=self.dataset_sink_mode,
        )
        if self.select is None:
            return float(found[self.metric_name]), None, {}
        metrics = dict(found["validation"])
        loss = metrics.pop("loss")
        return metrics[self.select], loss, metrics

    def epoch_losses(self) -> list[float]:
        """The losses of this epoch's steps so far."""
        return self.losses_before + [loss_of(value) for value in self.losses]

    def on_train_begin(self, run_context):
        if not self.started:
            self.started = time.monotonic()
        self.optimizer = self.optimizer or run_context.original_args().optimizer

    def on_train_epoch_begin(self, run_context):
        state = run_context.original_args()
        self.losses = []
        self.first_step_ended = None
        self.epoch_started = time.monotonic()
        self.progress = progress_bar(state.cur_epoch_num, state.batch_num, self.chief)

    def on_train_step_end(self, run_context):
        # Converted at the end of the epoch: a loss that is read makes an accelerator wait.
        self.losses.append(run_context.original_args().net_outputs)
        if self.first_step_ended is None:
            self.first_step_ended = time.monotonic()
        self.progress.update(steps_at_once(run_context.original_args()))

    def on_train_epoch_end(self, run_context):
        self.progress.close()
        state = run_context.original_args()
        if state.get("interrupted"):
            return
        loss = float(np.mean(self.epoch_losses()))
        speed = self._images_per_second(state)
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
            seconds=time.monotonic() - self.epoch_started,
            val_loss=val_loss,
            metrics=metrics,
        )
        self.history.append(record)
        self.epochs_done += 1
        workers.say(self.line(record))
        if metric is not None:
            self._keep(record, metric)

    def _images_per_second(self, state) -> float:
        """The speed of this epoch's steps but for the first one, which waits for the compiler."""
        ended = time.monotonic()
        steps = len(self.losses) - 1
        seconds = ended - self.first_step_ended
        if not steps:
            steps = steps_at_once(state)
            seconds = ended - self.epoch_started
        return steps * state.train_dataset.get_batch_size() * workers.size() / seconds

    def line(self, record: EpochRecord) -> str:
        """The epoch in one line."""
        seconds_an_epoch = (time.monotonic() - self.started) / self.epochs_done
        left = seconds_an_epoch * (self.num_epochs - record.epoch)
        return epoch_line(record, self.num_epochs, self.metric_name, self.select, left)

    def _keep(self, record: EpochRecord, metric: float) -> None:
        """Save the weights if they are among the best."""

        def save_weights(path: Path) -> None:
            save.save_checkpoint(
                self.network,
                path,
                **self.metadata,
                epoch=record.epoch,
                metric_name=self.metric_name,
                metric=metric,
            )

        if self.checkpoints is not None:
            self.checkpoints.consider(metric, record.epoch, save_weights)
        self.best_res = max(self.best_res, metric)

    def state(self) -> dict:
        """What `restore` needs to go on keeping the best."""
        kept = (
            {"kept": [], "best_path": None}
            if self.checkpoints is None
            else self.checkpoints.state()
        )
        return {"best": self.best_res if self.history else None, **kept}

    def restore(self, history: list[EpochRecord], state: dict) -> None:
        """Go on as the run with this history would have.

        `state` has what `state()` gave, and `losses`, those of the steps of an unfinished epoch.
        """
        self.history = history
        self.losses_before = state["losses"]
        self.best_res = LEAST if state["best"] is None else state["best"]
        if self.checkpoints is not None:
            validated = [record for record in history if record.metric is not None]
            best = max(validated, key=lambda record: record.metric or 0.0, default=None)
            self.checkpoints.restore(
                self.best_res, best.epoch if best else 0, state["best_path"], state["kept"]
            )

    def on_train_end(self, run_context):
        state = run_context.original_args()
        over = state.cur_epoch_num >= self.num_epochs or run_context.get_stop_requested()
        if self.best_ckpt_path is None or not over or state.get("interrupted"):
            return
        workers.say(f"Best {self.metric_name}: {self.best_res:.4f}, saved in {self.best_ckpt_path}")
        if why := self.checkpoints.why_kept_apart():
            workers.say(why)
