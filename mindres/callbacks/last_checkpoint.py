"""Keeps `last.ckpt` to resume from, and the records of the run beside it."""

from __future__ import annotations

import contextlib
import dataclasses
import secrets
from functools import partial

import mindspore
import numpy as np
from mindspore.train import Callback

from mindres import files
from mindres.callbacks import more_epochs
from mindres.callbacks.step_state import steps_at_once
from mindres.devices import workers
from mindres.errors import UserError
from mindres.models import save
from mindres.runs.config import as_json, difference, read_config, text_of_config
from mindres.runs.folder import RunFolder
from mindres.runs.history import EpochRecord, write_history
from mindres.weights import formats

# The prefix of names that are not the network's: the optimizer's, the moving average's, counters.
STATE_PREFIX = "optimizer."
# The moving average of version 0.1.0 did not count its steps, and did not warm up.
STEPS_OF_OLD_AVERAGES = 10**9


class LastCheckpoint(Callback):
    """Keeps `last.ckpt`, `history.csv` and `config.json` in a run's folder.

    `last.ckpt` has the weights, the optimizer's state, the position in the run, and the records.

    Args:
        network: the parameters of the network by name.
        step: the parameters of the training step by name: the optimizer's and the network's.
        monitor: the `ValAccMonitor` of the run.
        folder: the run's folder; None keeps nothing.
        config: the settings for `config.json`.
        defaults: the settings of runs that did not record them, see `runs.config.difference`.
        seed: the seed of data order and augmentation.

    Attributes:
        epoch, step: the number of finished epochs, and of finished steps of the next one.
        stopped: whether the run was stopped before its last epoch.
    """

    def __init__(self, network, step, monitor, folder, config, defaults, seed):
        super().__init__()
        state = {f"{STATE_PREFIX}{name}": step[name] for name in step if name not in network}
        self.parameters = {**network, **state}
        self.monitor = monitor
        self.run_folder = None if folder is None else RunFolder(folder)
        self.config = as_json(config)
        self.defaults = defaults
        self.seed = seed
        self.epoch = 0
        self.step = 0
        self.stopped = False
        self.config_is_written = False
        self.run_id = secrets.token_hex(8)
        monitor.set_run(self.run_id)

    @property
    def folder(self):
        """The run's folder; None if nothing is kept."""
        return self.run_folder and self.run_folder.path

    @property
    def last(self):
        """The path of `last.ckpt`."""
        return self.run_folder.last

    def restore(self) -> None:
        """Continue the run that left `last.ckpt`; a line says so, or that there is none."""
        if not self.last.exists():
            workers.say(f"{self.last} is not there: starting from the beginning")
            return
        arrays, metadata = formats.read_checkpoint(self.last)
        recorded = metadata.state
        if not recorded:
            raise UserError(f"{self.last} was not left by an interrupted run: it cannot be resumed")
        ended = more_epochs.ended_after(recorded, self.config)
        self._check_config(
            recorded["config"] | ({"epochs": self.config["epochs"]} if ended else {})
        )
        values = self._values(arrays)
        if ended:
            values |= more_epochs.own_rates(self.parameters, STATE_PREFIX)
        for name, parameter in self.parameters.items():
            parameter.set_data(mindspore.Tensor(values[name], parameter.dtype))
        self.epoch = recorded["epoch"]
        self.step = recorded["step"]
        self.seed = recorded["seed"]
        self.run_id = recorded["run_id"]
        config, _ = read_config(self.run_folder.config)
        self.config_is_written = config.get("run") == self.run_id and not ended
        self.monitor.set_run(self.run_id)
        history = [EpochRecord(**record) for record in recorded["history"]]
        self.monitor.restore(history, recorded)
        workers.say(f"resuming from {self.last}: epoch {self.epoch + 1}, step {self.step + 1}")
        if ended:
            workers.say(more_epochs.sentence(ended, self.config["epochs"]))

    def _check_config(self, theirs: dict) -> None:
        changed = difference(self.config, theirs, self.defaults)
        if changed:
            before = theirs.get(changed, self.defaults.get(changed))
            raise UserError(
                f"{self.last} was left by a run with `{changed}={before}`, not "
                f"{self.config[changed]}: resume with the same values, or start anew in another "
                "`ckpt_dir`"
            )

    def _values(self, arrays: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
        """The arrays of `last.ckpt` by the names of this run's parameters."""
        if not any(name.startswith(STATE_PREFIX) for name in arrays):
            arrays = self._values_of_0_1_0(arrays)
        unknown = set(self.parameters) ^ set(arrays)
        if unknown:
            raise UserError(
                f"{self.last} does not fit this run: it differs in {min(unknown)}; resume with the "
                "same network and options, or start anew in another `ckpt_dir`"
            )
        return arrays

    def _values_of_0_1_0(self, arrays):
        """The arrays of a `last.ckpt` of version 0.1.0, whose optimizer's names had no prefix."""
        names = {name.removeprefix(STATE_PREFIX): name for name in self.parameters}
        renamed = {names.get(name, name): value for name, value in arrays.items()}
        steps = f"{STATE_PREFIX}ema.steps"
        if steps in self.parameters:
            renamed[steps] = np.array(STEPS_OF_OLD_AVERAGES, np.int32)
        return renamed

    def on_train_epoch_begin(self, run_context):
        self.first_step = self.step

    def on_train_step_end(self, run_context):
        self.step += steps_at_once(run_context.original_args())

    def on_train_epoch_end(self, run_context):
        state = run_context.original_args()
        whole = self.step - self.first_step >= state.train_dataset.get_dataset_size()
        self.stopped = run_context.get_stop_requested()
        if whole and not state.get("interrupted"):
            self.epoch += 1
            self.step = 0
            self.monitor.clock.losses_before = []
        self.save()

    def save(self) -> None:
        """Write the records and `last.ckpt`; if that fails, the records do not change."""
        if self.run_folder is None or not self.monitor.chief:
            return
        records = self.monitor.history
        recorded = {
            "epoch": self.epoch,
            "step": self.step,
            "seed": self.seed,
            "run_id": self.run_id,
            "history": [dataclasses.asdict(r) for r in records if r.epoch <= self.epoch],
            "losses": self.monitor.clock.losses() if self.step else [],
            "config": self.config,
            **self.monitor.state(),
        }
        files.write_despite_removal(partial(self._save_together, records, recorded))
        self.config_is_written = True
        if not records:
            self.run_folder.history.unlink(missing_ok=True)  # an earlier run's

    def _save_together(self, records: list[EpochRecord], recorded: dict) -> None:
        with contextlib.ExitStack() as together:
            if not (self.config_is_written and self.run_folder.config.exists()):
                config = together.enter_context(files.atomic_write(self.run_folder.config))
                text = text_of_config(self.config, self.run_id, self.seed)
                config.write_text(text, encoding="utf-8")
            if records:
                history = together.enter_context(files.atomic_write(self.run_folder.history))
                write_history(history, records)
            self._save_last(recorded)

    def _save_last(self, recorded: dict) -> None:
        save.save_checkpoint(
            self.parameters,
            self.last,
            **self.monitor.metadata,
            architecture=self.monitor.network.architecture,
            epoch=self.epoch,
            state=recorded,
        )
