"""Callbacks for `mindspore.train.Model.train`: what is printed during training, and which weights are kept."""

from __future__ import annotations

import sys
import time
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from mindspore.train import Callback
from tqdm import tqdm

from mindres import files, weights
from mindres.errors import UserError


@dataclass
class EpochRecord:
    """One epoch: its number from 1, mean training loss, validation metric, learning rate at its end, and speed."""

    epoch: int
    loss: float
    metric: float | None
    lr: float
    images_per_second: float
    seconds: float


class ValAccMonitor(Callback):
    """After each epoch, prints a line and keeps the weights with the best validation metric.

    MindVision's signature and file, with three differences. The loss is the epoch's mean. `best.ckpt` is
    written beside and renamed over, so that it is whole at every instant. And a better one of an earlier run
    stays: until this run beats it, this run's best goes to the first free of `best-2.ckpt`, `best-3.ckpt` ...
    Two runs can be compared when they note the same architecture and dataset; otherwise the old file stays too.

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
        metadata: noted in the checkpoint, see `weights.save_checkpoint`; the key "dataset" names the dataset.
        network: the network whose weights are kept; the model's where None.
    """

    def __init__(self, model, dataset_val, num_epochs, interval=1, eval_start_epoch=1, save_best_ckpt=True,
                 ckpt_directory="./", best_ckpt_name="best.ckpt", metric_name="Accuracy", dataset_sink_mode=True, *,
                 overwrite=False, metadata=None, network=None):
        super().__init__()
        if interval < 1:
            raise UserError(f"interval must be at least 1, not {interval}")
        self.model, self.dataset_val, self.num_epochs = model, dataset_val, num_epochs
        self.interval, self.eval_start_epoch = interval, eval_start_epoch
        self.metric_name, self.dataset_sink_mode = metric_name, dataset_sink_mode
        self.metadata, self.network = metadata or {}, network
        self.history: list[EpochRecord] = []
        self.best_res, self.best_ckpt_path = -float("inf"), None
        self.save_best_ckpt = save_best_ckpt
        if save_best_ckpt:
            self.target = files.make_folder(ckpt_directory) / best_ckpt_name
            self.bar = -float("inf") if overwrite else self._earlier_best()

    def _earlier_best(self) -> float:
        """The metric that this run must beat to take the place of an earlier run's best checkpoint."""
        if not self.target.exists():
            return -float("inf")
        try:
            _, noted = weights.read_checkpoint(self.target)
        except UserError:
            return float("inf")
        network = self.network or self.model.train_network
        comparable = (noted.get("metric_name") == self.metric_name
                      and noted.get("architecture") == getattr(network, "architecture", None)
                      and noted.get("dataset") == self.metadata.get("dataset"))
        return noted["metric"] if comparable else float("inf")

    def apply_eval(self) -> float:
        """The metric on the validation data."""
        return float(self.model.eval(self.dataset_val, dataset_sink_mode=self.dataset_sink_mode)[self.metric_name])

    def on_train_begin(self, run_context):
        self.started = time.monotonic()

    def on_train_epoch_begin(self, run_context):
        self.losses, self.first_step_ended = [], None
        self.epoch_started = time.monotonic()
        self.progress = tqdm(total=run_context.original_args().batch_num, leave=False, unit="step", file=sys.stdout,
                             desc=f"Epoch {run_context.original_args().cur_epoch_num}",
                             disable=not sys.stdout.isatty())

    def on_train_step_end(self, run_context):
        outputs = run_context.original_args().net_outputs
        # Converted at the end of the epoch: a loss that is read makes an accelerator wait.
        self.losses.append(outputs[0] if isinstance(outputs, tuple) else outputs)
        self.first_step_ended = self.first_step_ended or time.monotonic()
        self.progress.update()

    def on_train_epoch_end(self, run_context):
        self.progress.close()
        state = run_context.original_args()
        loss = float(np.mean([value.asnumpy() for value in self.losses]))
        ended = time.monotonic()
        # The first step is left out of the speed: it waits for the compiler.
        steps, seconds = len(self.losses) - 1, ended - self.first_step_ended
        if not steps:
            steps, seconds = 1, ended - self.epoch_started
        metric = None
        if state.cur_epoch_num >= self.eval_start_epoch \
                and (state.cur_epoch_num - self.eval_start_epoch) % self.interval == 0:
            metric = self.apply_eval()
        record = EpochRecord(state.cur_epoch_num, loss, metric, learning_rate(state.optimizer),
                             steps * batch_size(state) / seconds, time.monotonic() - self.epoch_started)
        self.history.append(record)
        print(self.line(record), flush=True)
        if metric is not None and metric > self.best_res:
            self.best_res = metric
            if self.save_best_ckpt:
                self._keep(state, record)

    def line(self, record: EpochRecord) -> str:
        """The epoch in one line, in the tutorial's words."""
        width = len(str(self.num_epochs))
        left = (time.monotonic() - self.started) / len(self.history) * (self.num_epochs - record.epoch)
        metric = "" if record.metric is None else f"{self.metric_name}: {record.metric:.4f}, "
        return (f"Epoch: [{record.epoch:{width}d} / {self.num_epochs}], Train Loss: [{record.loss:.4f}], {metric}"
                f"lr: {record.lr:.2e}, {record.images_per_second:,.0f} images/s, {duration(left)} left")

    def _keep(self, state, record) -> None:
        network = self.network or state.train_network
        if record.metric > self.bar:
            path = self.target
        else:
            path = self.best_ckpt_path or self._free_name()
        weights.save_checkpoint(network, path, **self.metadata, epoch=record.epoch, metric_name=self.metric_name,
                                metric=record.metric)
        if self.best_ckpt_path not in (None, path):
            self.best_ckpt_path.unlink(missing_ok=True)  # this run's own lesser one
        self.best_ckpt_path = path

    def _free_name(self) -> Path:
        number = 2
        while (path := self.target.with_stem(f"{self.target.stem}-{number}")).exists():
            number += 1
        return path

    def on_train_end(self, run_context):
        if self.best_ckpt_path is not None:
            print(f"Best {self.metric_name}: {self.best_res:.4f}, saved in {self.best_ckpt_path}", flush=True)
            if self.best_ckpt_path != self.target:
                why = f"{self.bar:.4f}" if self.bar < float("inf") else "of another network or dataset"
                print(f"{self.target} ({why}) is an earlier run's and was kept; --overwrite replaces it", flush=True)


class LossMonitor(Callback):
    """Prints the loss of every `per_print_times`-th step; `lr_init` is accepted for MindVision's sake and unused."""

    def __init__(self, lr_init=None, per_print_times=1):
        super().__init__()
        self.per_print_times = per_print_times

    def on_train_step_end(self, run_context):
        state = run_context.original_args()
        if state.cur_step_num % self.per_print_times == 0:
            step = (state.cur_step_num - 1) % state.batch_num + 1
            outputs = state.net_outputs
            loss = float((outputs[0] if isinstance(outputs, tuple) else outputs).asnumpy())
            print(f"Epoch: [{state.cur_epoch_num} / {state.epoch_num}], step: [{step} / {state.batch_num}], "
                  f"loss: [{loss:.4f}], lr: {learning_rate(state.optimizer):.2e}", flush=True)


class StopAtStep(Callback):
    """Ends training after `max_steps` steps; the epoch they fall in is still evaluated."""

    def __init__(self, max_steps):
        super().__init__()
        self.max_steps = max_steps

    def on_train_step_end(self, run_context):
        if run_context.original_args().cur_step_num >= self.max_steps:
            run_context.request_stop()


def learning_rate(optimizer) -> float:
    """The learning rate of the optimizer's last step."""
    rate = optimizer.learning_rate
    if not optimizer.dynamic_lr:
        return float(rate.asnumpy())
    schedule = rate.learning_rate.asnumpy()
    return float(schedule[min(max(int(optimizer.global_step.asnumpy()[0]) - 1, 0), len(schedule) - 1)])


def batch_size(state) -> int:
    """Images in a step of the training data."""
    return state.train_dataset.get_batch_size()


def duration(seconds: float) -> str:
    """Seconds as h:mm:ss or m:ss."""
    minutes, seconds = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}" if hours else f"{minutes}:{seconds:02d}"
