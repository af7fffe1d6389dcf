"""Stops training when the loss is no longer finite."""

from __future__ import annotations

import math

import mindspore
from mindspore.train import Callback

from mindres.callbacks.step_state import loss_of
from mindres.compat.mindspore import last_learning_rate
from mindres.errors import UserError


class FiniteLoss(Callback):
    """Raises `UserError` if the loss is infinite or NaN; checkpoints saved before stay."""

    def __init__(self, state):
        super().__init__()
        self.state = state

    def on_train_step_end(self, run_context):
        state = run_context.original_args()
        # Reading a loss stalls an accelerator.
        if mindspore.get_context("device_target") != "CPU" and self.state.step % 20:
            return
        if not math.isfinite(loss_of(state.net_outputs)):
            rate = last_learning_rate(self.state.monitor.optimizer)
            # A `last.ckpt` from before this run's first save is an earlier run's.
            saved = self.state.config_is_written and self.state.last.exists()
            kept = f"; the last good state is {self.state.last}" if saved else ""
            raise UserError(
                f"the loss is {loss_of(state.net_outputs)} in epoch {self.state.epoch + 1}, step "
                f"{self.state.step + 1}, at learning rate {rate:g}: lower `lr` or set "
                f"`clip_norm`{kept}"
            )
