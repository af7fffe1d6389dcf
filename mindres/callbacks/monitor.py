"""Validates after each epoch, prints a line, and keeps the best weights."""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

import numpy as np
from mindspore.train import Callback
from tqdm import tqdm

from mindres import files
from mindres.callbacks.step_state import duration, learning_rate, loss_of, steps_at_once
from mindres.devices import workers
from mindres.errors import UserError
from mindres.models import save
from mindres.runs.history import EpochRecord
from mindres.weights import formats
from mindres.weights.metadata import Metadata


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
        metadata: noted in the checkpoint, see `mindres.save_checkpoint`; `dataset` names the dataset.
        network: the network whose weights are kept; the model's where None.
        optimizer: whose learning rate is printed; the model's where None.
        keep_best: how many checkpoints to keep by metric; the others are called `best-epoch-N.ckpt`.
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
    ):
        super().__init__()
        if interval < 1:
            raise UserError(f"interval must be at least 1, not {interval}")
        self.model, self.dataset_val, self.num_epochs = model, dataset_val, num_epochs
        self.interval, self.eval_start_epoch = interval, eval_start_epoch
        self.metric_name, self.dataset_sink_mode = metric_name, dataset_sink_mode
        self.metadata, self.network, self.optimizer, self.keep_best = (
            Metadata.of(metadata),
            network,
            optimizer,
            keep_best,
        )
        self.history: list[EpochRecord] = []
        self.best_res, self.best_ckpt_path = -float("inf"), None
        self.kept: list[
            tuple[float, str]
        ] = []  # metric and path of the checkpoints beside the best
        self.losses_before: list[
            float
        ] = []  # of the steps of this epoch that ran before an interruption
        self.eval_callbacks: list[Callback] | None = None
        self.started, self.restored = None, None
        # Of several workers the first one prints and writes.
        self.chief = workers.rank() == 0
        self.save_best_ckpt = save_best_ckpt and self.chief
        if self.save_best_ckpt:
            self.target = files.make_folder(ckpt_directory) / best_ckpt_name
            self.bar = -float("inf") if overwrite else self._earlier_best()

    def _earlier_best(self) -> float:
        """The metric that this run must beat to take the place of an earlier run's best checkpoint."""
        if not self.target.exists():
            return -float("inf")
        try:
            _, noted = formats.read_checkpoint(self.target)
        except UserError:
            return float("inf")
        network = self.network or self.model.train_network
        comparable = (
            noted.metric_name == self.metric_name
            and noted.architecture == getattr(network, "architecture", None)
            and noted.dataset == self.metadata.dataset
        )
        if noted.run and noted.run == self.metadata.run:
            return -float("inf")
        return noted.metric if comparable and noted.metric is not None else float("inf")

    def apply_eval(self) -> float:
        """The metric on the validation data."""
        return float(
            self.model.eval(
                self.dataset_val,
                callbacks=self.eval_callbacks,
                dataset_sink_mode=self.dataset_sink_mode,
            )[self.metric_name]
        )

    def epoch_losses(self) -> list[float]:
        """The losses of this epoch's steps so far."""
        return self.losses_before + [loss_of(value) for value in self.losses]

    def on_train_begin(self, run_context):
        self.started = self.started or time.monotonic()
        self.optimizer = self.optimizer or run_context.original_args().optimizer

    def on_train_epoch_begin(self, run_context):
        state = run_context.original_args()
        self.losses, self.first_step_ended = [], None
        self.epoch_started = time.monotonic()
        self.progress = tqdm(
            total=state.batch_num,
            leave=False,
            unit="step",
            file=sys.stdout,
            desc=f"Epoch {state.cur_epoch_num}",
            disable=not (self.chief and sys.stdout.isatty()),
        )

    def on_train_step_end(self, run_context):
        # Converted at the end of the epoch: a loss that is read makes an accelerator wait.
        self.losses.append(run_context.original_args().net_outputs)
        self.first_step_ended = self.first_step_ended or time.monotonic()
        self.progress.update(steps_at_once(run_context.original_args()))

    def on_train_epoch_end(self, run_context):
        self.progress.close()
        state = run_context.original_args()
        if state.get("interrupted"):
            return
        loss = float(np.mean(self.epoch_losses()))
        ended = time.monotonic()
        # The first step is left out of the speed: it waits for the compiler.
        steps, seconds = len(self.losses) - 1, ended - self.first_step_ended
        if not steps:
            steps, seconds = steps_at_once(state), ended - self.epoch_started
        metric = None
        if (
            state.cur_epoch_num >= self.eval_start_epoch
            and (state.cur_epoch_num - self.eval_start_epoch) % self.interval == 0
        ):
            workers.share_statistics(self.network or state.train_network)
            metric = self.apply_eval()
        record = EpochRecord(
            state.cur_epoch_num,
            loss,
            metric,
            learning_rate(self.optimizer),
            steps * state.train_dataset.get_batch_size() * workers.size() / seconds,
            time.monotonic() - self.epoch_started,
        )
        self.history.append(record)
        workers.say(self.line(record))
        if metric is not None and self.save_best_ckpt:
            self._keep(state, record)
        self.best_res = max(self.best_res, -float("inf") if metric is None else metric)

    def line(self, record: EpochRecord) -> str:
        """The epoch in one line, in the tutorial's words."""
        width = len(str(self.num_epochs))
        done = (
            record.epoch - self.history[0].epoch + 1
            if self.restored is None
            else record.epoch - self.restored
        )
        left = (time.monotonic() - self.started) / done * (self.num_epochs - record.epoch)
        metric = "" if record.metric is None else f"{self.metric_name}: {record.metric:.4f}, "
        return (
            f"Epoch: [{record.epoch:{width}d} / {self.num_epochs}], Train Loss: [{record.loss:.4f}], {metric}"
            f"lr: {record.lr:.2e}, {record.images_per_second:,.0f} images/s, {duration(left)} left"
        )

    def _keep(self, state, record) -> None:
        """Save the weights if they are the best so far, or among the `keep_best`."""
        if record.metric > self.best_res:
            before = self.best_ckpt_path
            beats = record.metric >= self.bar
            self.best_ckpt_path = self.target if beats else before or self._free_name()
            if before is not None:
                self._demote(before)
            self._save(state, record, self.best_ckpt_path)
            if before not in (None, self.best_ckpt_path):
                before.unlink(missing_ok=True)  # this run's own lesser one
        elif self.keep_best > 1:
            path = self.target.with_name(f"best-epoch-{record.epoch}.ckpt")
            if len(self.kept) < self.keep_best - 1 or record.metric > min(self.kept)[0]:
                self._save(state, record, path)
                self._note((record.metric, str(path)))

    def _save(self, state, record, path) -> None:
        save.save_checkpoint(
            self.network or state.train_network,
            path,
            **self.metadata,
            epoch=record.epoch,
            metric_name=self.metric_name,
            metric=record.metric,
        )

    def _demote(self, path: Path) -> None:
        """Keep the checkpoint that was the best so far among the `keep_best`."""
        if self.keep_best > 1 and path.exists():
            epoch = max(
                (r for r in self.history[:-1] if r.metric is not None), key=lambda r: r.metric
            ).epoch
            demoted = path.with_name(f"best-epoch-{epoch}.ckpt")
            demoted.unlink(missing_ok=True)
            os.link(path, demoted)  # no copy, and `path` is there throughout
            self._note((self.best_res, str(demoted)))

    def _note(self, kept) -> None:
        self.kept = sorted([*self.kept, kept], reverse=True)
        for _, path in self.kept[self.keep_best - 1 :]:
            Path(path).unlink(missing_ok=True)
        del self.kept[self.keep_best - 1 :]

    def kept_state(self) -> dict:
        """What `restore` needs to go on keeping the best."""
        return {
            "best": self.best_res if self.history else None,
            "kept": [(metric, Path(path).name) for metric, path in self.kept],
            "best_path": self.best_ckpt_path and self.best_ckpt_path.name,
        }

    def restore(self, history, losses, best, best_path, kept) -> None:
        """Go on as the run with this history would have."""
        self.history, self.losses_before = history, losses
        self.restored = history[-1].epoch if history else 0
        self.best_res = -float("inf") if best is None else best
        if self.save_best_ckpt:
            # By name: the folder may have moved, or be called otherwise from another working directory.
            self.kept = [
                (metric, str(self.target.with_name(Path(path).name))) for metric, path in kept
            ]
            self.best_ckpt_path = best_path and self.target.with_name(Path(best_path).name)
            if best_path is None or self.best_ckpt_path == self.target:
                self.bar = self._earlier_best()

    def _free_name(self) -> Path:
        number = 2
        while (path := self.target.with_stem(f"{self.target.stem}-{number}")).exists():
            number += 1
        return path

    def on_train_end(self, run_context):
        state = run_context.original_args()
        over = state.cur_epoch_num >= self.num_epochs or run_context.get_stop_requested()
        if self.best_ckpt_path is not None and over and not state.get("interrupted"):
            print(
                f"Best {self.metric_name}: {self.best_res:.4f}, saved in {self.best_ckpt_path}",
                flush=True,
            )
            if self.best_ckpt_path != self.target:
                why = (
                    f"{self.bar:.4f}"
                    if self.bar < float("inf")
                    else "of another network or dataset"
                )
                print(
                    f"{self.target} ({why}) is an earlier run's and was kept; --overwrite replaces it",
                    flush=True,
                )
