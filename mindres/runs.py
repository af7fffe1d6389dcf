"""A run's state and records: what it takes to stop anywhere and go on as if nothing had happened."""

from __future__ import annotations

import csv
import dataclasses
import json
import math
import os
import platform
import secrets
import shlex
import signal
import sys
import threading
import time
from importlib.metadata import version
from pathlib import Path

import mindspore
import numpy as np
from mindspore.train import Callback

from mindres import distributed, files, weights
from mindres.callbacks import EpochRecord, learning_rate, loss_of, steps_at_once
from mindres.errors import Terminated, UserError

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None


class RunState(Callback):
    """Keeps `last.ckpt` (weights, optimizer, position, records), `history.csv` and `config.json` in `folder`.

    Args:
        parameters: all of the state, the network's and the optimizer's, by name.
        monitor: the `ValAccMonitor` of the run.
        folder: where; None keeps nothing.
        config: what is noted in `config.json`.
        seed: of data order and augmentation.
    """

    def __init__(self, parameters, monitor, folder, config, seed):
        super().__init__()
        self.parameters, self.monitor, self.config, self.seed = parameters, monitor, config, seed
        self.folder = None if folder is None else Path(folder)
        self.epoch, self.step, self.stopped = 0, 0, False
        self.run_id = secrets.token_hex(8)
        monitor.metadata = {**monitor.metadata, "run": self.run_id}

    @property
    def last(self) -> Path:
        return self.folder / "last.ckpt"

    def restore(self) -> None:
        """Take up the run that left `last.ckpt`; says so, also where there is none."""
        if not self.last.exists():
            distributed.say(f"{self.last} is not there: starting from the beginning")
            return
        arrays, metadata = weights.read_checkpoint(self.last)
        noted = metadata.get("state")
        if not noted:
            raise UserError(f"{self.last} was not left by an interrupted run: it cannot be resumed")
        mine = {k: v for k, v in self.config.items() if k not in RUN_ONLY}
        theirs = {k: v for k, v in noted["config"].items() if k not in RUN_ONLY}
        changed = [k for k in mine if json.dumps(mine[k]) != json.dumps(theirs.get(k))]
        if changed:
            raise UserError(f"{self.last} was left by a run with --{changed[0]} {theirs.get(changed[0])}, not "
                            f"{mine[changed[0]]}: resume with the same values, or start anew in another --ckpt_dir")
        unknown = set(self.parameters) ^ set(arrays)
        if unknown:
            raise UserError(f"{self.last} does not fit this run: it differs in {sorted(unknown)[0]}")
        for name, parameter in self.parameters.items():
            parameter.set_data(mindspore.Tensor(arrays[name], parameter.dtype))
        self.epoch, self.step, self.seed, self.run_id = (noted[k] for k in ("epoch", "step", "seed", "run_id"))
        self.monitor.metadata["run"] = self.run_id
        self.monitor.restore([EpochRecord(**record) for record in noted["history"]], noted["losses"], noted["best"],
                             noted["best_path"], noted["kept"])
        distributed.say(f"going on from {self.last}: epoch {self.epoch + 1}, step {self.step + 1}")

    def on_train_begin(self, run_context):
        if self.folder is None or not self.monitor.chief or self.epoch or self.step:
            return
        files.make_folder(self.folder)
        packages = {name: version(name) for name in ("mindspore", "mindvision", "numpy")}
        environment = {"python": platform.python_version(), "platform": platform.platform(), **packages,
                       "device": mindspore.get_context("device_target")}
        write_text(self.folder / "config.json", json.dumps(
            {"command": shlex.join(sys.argv), "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "run": self.run_id,
             "seed": self.seed, **self.config, "environment": environment}, indent=2, default=str) + "\n")

    def on_train_epoch_begin(self, run_context):
        self.first_step = self.step

    def on_train_step_end(self, run_context):
        self.step += steps_at_once(run_context.original_args())

    def on_train_epoch_end(self, run_context):
        state = run_context.original_args()
        whole = self.step - self.first_step >= state.train_dataset.get_dataset_size()
        self.stopped = run_context.get_stop_requested()
        if whole and not state.get("interrupted"):
            self.epoch, self.step, self.monitor.losses_before = self.epoch + 1, 0, []
        self.save()

    def save(self) -> None:
        """Write the records and `last.ckpt`."""
        if self.folder is None or not self.monitor.chief:
            return
        history = [dataclasses.asdict(r) for r in self.monitor.history if r.epoch <= self.epoch]
        lines = [{"accuracy" if k == "metric" else k: v for k, v in record.items()}
                 for record in map(dataclasses.asdict, self.monitor.history)]
        if lines:
            with files.replacing(self.folder / "history.csv") as part, open(part, "w", newline="") as file:
                writer = csv.DictWriter(file, lines[0])
                writer.writeheader()
                writer.writerows(lines)
        losses = self.monitor.epoch_losses() if self.step else []
        weights.save_checkpoint(self.parameters, self.last, **self.monitor.metadata,
                                architecture=self.monitor.network.architecture, epoch=self.epoch,
                                state={"epoch": self.epoch, "step": self.step, "seed": self.seed,
                                       "run_id": self.run_id, "history": history, "losses": losses,
                                       "config": self.config, **self.monitor.kept_state()})


# What may differ between a run and the one that goes on with it.
RUN_ONLY = ("ckpt_dir", "dataset_path", "device_id", "device_target", "distributed", "download", "max_steps",
            "overwrite", "pretrained", "resume", "tensorboard")


def write_text(path: Path, text: str) -> None:
    with files.replacing(path) as part:
        part.write_text(text, encoding="utf-8")


def hold(folder) -> int | None:
    """Keep other runs out of `folder`: a descriptor to close at the end, which the system does for a killed process.

    On a file system without locks nothing is kept out.
    """
    folder = files.make_folder(folder)
    if fcntl is None:
        return None
    held = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(held, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(held)
        raise UserError(f"another run is training in {folder}: wait for its end, or name another --ckpt_dir") from None
    except OSError:
        pass
    return held


class Interrupt(Callback):
    """Ctrl-C or SIGTERM ends the step, saves, and then interrupts; a second one interrupts at once.

    Where there are several workers it interrupts at once too: they would not all stop at the same step.
    """

    def __init__(self, state):
        super().__init__()
        self.state, self.requested = state, None
        self.listens = threading.current_thread() is threading.main_thread() and distributed.size() == 1
        self.previous = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}

    def on_train_step_begin(self, run_context):
        # Again and again: MindSpore puts handlers that end the process in their place with every data iterator.
        for number in self.previous if self.listens else ():
            signal.signal(number, self._request)

    on_train_begin = on_eval_step_begin = on_eval_end = on_train_step_begin

    def close(self):
        """Give the signals back to whoever had them."""
        for number, handler in self.previous.items() if self.listens else ():
            signal.signal(number, handler)

    def _request(self, number, _):
        again, self.requested = self.requested, Terminated if number == signal.SIGTERM else KeyboardInterrupt
        if again:
            raise self.requested

    def on_train_step_end(self, run_context):
        if self.requested:
            # Where data sinks the epoch is over, and is validated and counted like any other.
            run_context.original_args()["interrupted"] = not run_context.original_args().get("dataset_sink_mode")
            run_context.request_stop()

    def on_train_end(self, run_context):
        if self.requested:
            if self.state.folder is not None:
                print(f"\ninterrupted in epoch {self.state.epoch + 1} after step {self.state.step}: saved in "
                      f"{self.state.last}; the same command with --resume goes on", flush=True)
            raise self.requested


class FiniteLoss(Callback):
    """Ends the run when the loss is infinite or no number; what was saved before stays."""

    def __init__(self, state):
        super().__init__()
        self.state = state

    def on_train_step_end(self, run_context):
        state = run_context.original_args()
        # A loss that is read makes an accelerator wait.
        if mindspore.get_context("device_target") != "CPU" and self.state.step % 20:
            return
        if not math.isfinite(loss_of(state.net_outputs)):
            rate = learning_rate(self.state.monitor.optimizer)
            kept = f"; the last good state is {self.state.last}" if self.state.folder and self.state.last.exists() \
                else ""
            raise UserError(f"the loss is {loss_of(state.net_outputs)} in epoch {self.state.epoch + 1}, step "
                            f"{self.state.step + 1}, at learning rate {rate:g}: lower --lr or set --clip_norm{kept}")


class EarlyStop(Callback):
    """Ends the run after `patience` epochs without a better validation metric."""

    def __init__(self, monitor, patience):
        super().__init__()
        self.monitor, self.patience = monitor, patience

    def on_train_epoch_end(self, run_context):
        metrics = [r.metric for r in self.monitor.history if r.metric is not None]
        if metrics and len(metrics) - 1 - int(np.argmax(metrics)) >= self.patience:
            distributed.say(f"stopping early: no better {self.monitor.metric_name} in {self.patience} epochs")
            run_context.request_stop()
