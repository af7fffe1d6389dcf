"""Runs the epochs of a run, each reproducible from its number."""

from __future__ import annotations

import mindspore
from mindspore.train import Callback

from mindres.compat.mindspore import number_epoch


class EpochNumber(Callback):
    """Gives later callbacks the number of the epoch, which `Model.train` always numbers 1."""

    def __init__(self, last_checkpoint, epochs):
        super().__init__()
        self.last_checkpoint = last_checkpoint
        self.epochs = epochs

    def on_train_epoch_begin(self, run_context):
        number_epoch(run_context.original_args(), self.last_checkpoint.epoch + 1, self.epochs)


def run_epochs(model, data, epochs: int, callbacks, last_checkpoint, sink: bool) -> None:
    """Train up to epoch `epochs`, from the epoch and step of `last_checkpoint`.

    The order and augmentation of an epoch follow from its number, so that each can be repeated.
    `Model.train` is called for one epoch at a time, because MindSpore prepares the images of all
    epochs that it is called for, whether they are used or not.

    Sunk data is bound to a graph that is compiled once: all epochs then are one call, seeded by
    the first one.
    """
    callbacks = [EpochNumber(last_checkpoint, epochs), *callbacks]
    if sink and last_checkpoint.epoch < epochs:
        # An epoch that was interrupted without sinking starts over.
        last_checkpoint.step = 0
        last_checkpoint.monitor.clock.losses_before = []
        _seed_epoch(last_checkpoint)
        left = epochs - last_checkpoint.epoch
        model.train(left, data, callbacks=callbacks, dataset_sink_mode=True)
        return
    if last_checkpoint.step >= data.get_dataset_size():
        # Version 0.1.0 was stopped in the last step of an epoch, which it did not validate.
        last_checkpoint.epoch, last_checkpoint.step = last_checkpoint.epoch + 1, 0
        last_checkpoint.monitor.clock.losses_before = []
    while last_checkpoint.epoch < epochs and not last_checkpoint.stopped:
        _seed_epoch(last_checkpoint)
        rest = data.skip(last_checkpoint.step) if last_checkpoint.step else data
        model.train(1, rest, callbacks=callbacks, dataset_sink_mode=False)


def _seed_epoch(last_checkpoint) -> None:
    seed = (last_checkpoint.seed + 7919 * last_checkpoint.epoch) % 2**31
    mindspore.dataset.config.set_seed(seed)
