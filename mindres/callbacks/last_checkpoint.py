"""Keeps `last.ckpt`, from which a run goes on, and a run's records."""

from __future__ import annotations

import csv
import dataclasses
import json
import platform
import secrets
import shlex
import sys
import time
from importlib.metadata import version
from pathlib import Path

import mindspore
from mindspore.train import Callback

from mindres import files
from mindres.callbacks.step_state import steps_at_once
from mindres.devices import workers
from mindres.errors import UserError
from mindres.models import save
from mindres.runs.folder import RUN_ONLY, write_text
from mindres.runs.history import EpochRecord
from mindres.weights import formats


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
        self._note_run()

    def _note_run(self) -> None:
        self.monitor.metadata = dataclasses.replace(self.monitor.metadata, run=self.run_id)

    @property
    def last(self) -> Path:
        return self.folder / "last.ckpt"

    def restore(self) -> None:
        """Take up the run that left `last.ckpt`; says so, also where there is none."""
        if not self.last.exists():
            workers.say(f"{self.last} is not there: starting from the beginning")
            return
        arrays, metadata = formats.read_checkpoint(self.last)
        noted = metadata.state
        if not noted:
            raise UserError(f"{self.last} was not left by an interrupted run: it cannot be resumed")
        mine = {k: v for k, v in self.config.items() if k not in RUN_ONLY}
        theirs = {k: v for k, v in noted["config"].items() if k not in RUN_ONLY}
        changed = [k for k in mine if json.dumps(mine[k]) != json.dumps(theirs.get(k))]
        if changed:
            raise UserError(
                f"{self.last} was left by a run with --{changed[0]} {theirs.get(changed[0])}, not "
                f"{mine[changed[0]]}: resume with the same values, or start anew in another --ckpt_dir"
            )
        unknown = set(self.parameters) ^ set(arrays)
        if unknown:
            raise UserError(
                f"{self.last} does not fit this run: it differs in {sorted(unknown)[0]}"
            )
        for name, parameter in self.parameters.items():
            parameter.set_data(mindspore.Tensor(arrays[name], parameter.dtype))
        self.epoch, self.step, self.seed, self.run_id = (
            noted[k] for k in ("epoch", "step", "seed", "run_id")
        )
        self._note_run()
        self.monitor.restore(
            [EpochRecord(**record) for record in noted["history"]],
            noted["losses"],
            noted["best"],
            noted["best_path"],
            noted["kept"],
        )
        workers.say(f"going on from {self.last}: epoch {self.epoch + 1}, step {self.step + 1}")

    def on_train_begin(self, run_context):
        if self.folder is None or not self.monitor.chief or self.epoch or self.step:
            return
        files.make_folder(self.folder)
        packages = {name: version(name) for name in ("mindspore", "mindvision", "numpy")}
        environment = {
            "python": platform.python_version(),
            "platform": platform.platform(),
            **packages,
            "device": mindspore.get_context("device_target"),
        }
        write_text(
            self.folder / "config.json",
            json.dumps(
                {
                    "command": shlex.join(sys.argv),
                    "started": time.strftime("%Y-%m-%dT%H:%M:%S%z"),
                    "run": self.run_id,
                    "seed": self.seed,
                    **self.config,
                    "environment": environment,
                },
                indent=2,
                default=str,
            )
            + "\n",
        )

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
        lines = [
            {"accuracy" if k == "metric" else k: v for k, v in record.items()}
            for record in map(dataclasses.asdict, self.monitor.history)
        ]
        if lines:
            with (
                files.replacing(self.folder / "history.csv") as part,
                open(part, "w", newline="") as file,
            ):
                writer = csv.DictWriter(file, lines[0])
                writer.writeheader()
                writer.writerows(lines)
        losses = self.monitor.epoch_losses() if self.step else []
        save.save_checkpoint(
            self.parameters,
            self.last,
            **self.monitor.metadata,
            architecture=self.monitor.network.architecture,
            epoch=self.epoch,
            state={
                "epoch": self.epoch,
                "step": self.step,
                "seed": self.seed,
                "run_id": self.run_id,
                "history": history,
                "losses": losses,
                "config": self.config,
                **self.monitor.kept_state(),
            },
        )
