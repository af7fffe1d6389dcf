"""Prints the loss of steps."""

from __future__ import annotations

from mindspore.train import Callback

from mindres.callbacks.step_state import loss_of
from mindres.compat.mindspore import last_learning_rate


class LossMonitor(Callback):
    """Prints the loss of every `per_print_times`-th step.

    `lr_init` is not used; MindVision's `LossMonitor` has it.
    """

    def __init__(self, lr_init=None, per_print_times=1):
        super().__init__()
        self.per_print_times = per_print_times

    def on_train_step_end(self, run_context):
        state = run_context.original_args()
        if state.cur_step_num % self.per_print_times == 0:
            step = (state.cur_step_num - 1) % state.batch_num + 1
            print(
                f"Epoch: [{state.cur_epoch_num} / {state.epoch_num}], "
                f"step: [{step} / {state.batch_num}], "
                f"loss: [{loss_of(state.net_outputs):.4f}], "
                f"lr: {last_learning_rate(state.optimizer):.2e}",
                flush=True,
            )
