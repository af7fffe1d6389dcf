"""The epochs of a run, one after the other, each of which can be repeated."""

from __future__ import annotations

import mindspore
from mindspore.train import Callback

from mindres.compat.mindspore import number_epoch


class EpochNumber(Callback):
    """Tells the callbacks after it the number of the epoch: `Model.train` always says 1."""

    def __init__(self, last_checkpoint, epochs):
        super().__init__()
        self.last_checkpoint = last_checkpoint
        self.epochs = epochs

    def on_train_epoch_begin(self, run_context):
        number_epoch(run_context.original_args(), self.last_checkpoint.epoch + 1, self.epochs)


def run_epochs(model, data, epochs: int, callbacks, last_checkpoint, sink: bool) -> None:
    """Train up to epoch `epochs`, from the epoch and step that `last_checkpoint` is at.

    Order and augmentation of an epoch follow from its number, so that any can be repeated. One
    epoch is asked for at a time: MindSpore prepares the images of all epochs that it is asked for,
    whether they are used or not.

    Data that sinks is bound to a graph, which is compiled once: there all epochs are one run from
    the first one's seed.
    """
    callbacks = [EpochNumber(last_checkpoint, epochs), *callbacks]
    if sink and last_checkpoint.epoch < epochs:
        # An epoch that was interrupted elsewhere begins again.
        last_checkpoint.step = 0
        last_checkpoint.monitor.clock.losses_before = []
        _seed_epoch(last_checkpoint)
        left = epochs - last_checkpoint.epoch
        model.train(left, data, callbacks=callbacks, dataset_sink_mode=True)
        return
    while last_checkpoint.epoch < epochs and not last_checkpoint.stopped:
        _seed_epoch(last_checkpoint)
        rest = data.skip(last_checkpoint.step) if last_checkpoint.step else data
        model.train(1, rest, callbacks=callbacks, dataset_sink_mode=False)


def _seed_epoch(last_checkpoint) -> None:
    seed = (last_checkpoint.seed + 7919 * last_checkpoint.epoch) % 2**31
    mindspore.dataset.config.set_seed(seed)
