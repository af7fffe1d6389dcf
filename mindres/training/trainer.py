"""Training through MindSpore's `Model`: any recipe, resumable at any step, with a record of what was done."""

from __future__ import annotations

import os
import secrets
from dataclasses import dataclass, field, replace
from pathlib import Path

import mindspore
from mindspore.train import Model

from mindres.callbacks.early_stop import EarlyStop
from mindres.callbacks.finite_loss import FiniteLoss
from mindres.callbacks.interrupt import Interrupt
from mindres.callbacks.last_checkpoint import RunState
from mindres.callbacks.monitor import ValAccMonitor
from mindres.callbacks.stop_at_step import StopAtStep
from mindres.callbacks.tensorboard import TensorBoard
from mindres.data.as_trained import describe
from mindres.data.dataset import ImageDataset, batches
from mindres.devices import DEFAULTS, workers
from mindres.errors import UserError
from mindres.models.build import check_images
from mindres.native.accelerate import accelerated
from mindres.runs.folder import hold
from mindres.runs.history import EpochRecord
from mindres.training import moving_average, optimizers, step
from mindres.training.freeze import freeze_stages
from mindres.training.frozen_features import Tail, feature_batches
from mindres.training.recipes import make_recipe
from mindres.training.schedules import learning_rates

MODES = {"graph": mindspore.GRAPH_MODE, "pynative": mindspore.PYNATIVE_MODE}


@dataclass
class History:
    """What `train` returns: a record of each epoch, and where the best weights are."""

    epochs: list[EpochRecord] = field(default_factory=list)
    best: float | None = None
    best_ckpt_path: Path | None = None


def train(
    net,
    train_data,
    val_data,
    *,
    recipe="tutorial",
    freeze="none",
    amp_level="auto",
    mode="graph",
    ckpt_dir="ckpt",
    keep_best=1,
    overwrite=False,
    resume=False,
    max_steps=None,
    tensorboard=None,
    cache_features=True,
    dataset_sink_mode=None,
    config=None,
    **overrides,
) -> History:
    """Train `net` and keep the weights with the best validation accuracy in `ckpt_dir/best.ckpt`.

    One line is printed for each epoch. `ckpt_dir` also gets `last.ckpt`, from which a run goes on, `history.csv` and
    `config.json`. Ctrl-C and SIGTERM end the step, save, and raise KeyboardInterrupt.

    Args:
        net: a network of this package; its weights change in place.
        train_data, val_data: an `ImageDataset` of `mindres.data`, or a MindSpore dataset of (image, label) batches.
        recipe: "tutorial" (Momentum, cosine decay), "adam_early_stop", "staged_sgd", "sgd_mnist" or "fast".
        freeze: "none"; "backbone" to train the classifier alone; or the last stage that stays as it is, "conv1" to
            "layer4", normalisation statistics included.
        amp_level: mixed precision as in `mindspore.amp`: "O0" to "O3"; "auto" is O0 on CPU, O2 elsewhere.
        mode: "graph", or "pynative" to step through the network with a debugger.
        ckpt_dir: folder of the checkpoints; None keeps none. One run at a time trains in it.
        keep_best: how many checkpoints to keep by accuracy; those after the first are called `best-epoch-N.ckpt`.
        overwrite: let this run replace a better best.ckpt of an earlier one, see `ValAccMonitor`.
        resume: go on from `ckpt_dir/last.ckpt` if it is there. On CPU the losses are those of a run that was never
            interrupted, for networks without dropout.
        max_steps: stop after this many steps, wherever they end.
        tensorboard: folder for TensorBoard's curves and predictions, or None.
        cache_features: with a frozen backbone, compute the features of each `ImageDataset` once and keep them on disk;
            images are then neither augmented nor, in validation, mirrored.
        dataset_sink_mode: keep the steps of an epoch on the device, without a return to Python; None does so on GPU and
            Ascend, unless `max_steps` is given. Ctrl-C then ends the epoch, and not the step.
        config: noted in `config.json` with the recipe.
        overrides: fields of `recipes.Recipe` by name, such as epochs=5 or lr=0.1; None leaves the recipe's value.

    Raises:
        UserError: an argument is out of range, another run is training in `ckpt_dir`, the checkpoints cannot be
            written or read, or the loss is no longer finite.
    """
    plan = make_recipe(recipe, **overrides)
    if max_steps is not None and max_steps < 1:
        raise UserError(f"max_steps must be at least 1, not {max_steps}")
    if mode not in MODES:
        raise UserError(f"unknown mode {mode!r}: choose one of {', '.join(MODES)}")
    level = resolve_amp(amp_level)
    if resume and ckpt_dir is None:
        raise UserError("there is nothing to resume without ckpt_dir")
    cached = (
        freeze == "backbone"
        and cache_features
        and workers.size() == 1
        and isinstance(train_data, ImageDataset)
        and isinstance(val_data, ImageDataset)
    )
    tta = plan.tta and getattr(train_data, "mirrored", True) and not cached
    metadata = replace(describe(train_data), tta=tta)
    if isinstance(train_data, ImageDataset):
        check_images(net, train_data.resize)
    freeze_stages(net, freeze)
    held = hold(ckpt_dir) if ckpt_dir is not None and workers.rank() == 0 else None
    before, interrupt = mindspore.get_context("mode"), None
    mindspore.set_context(mode=MODES[mode])
    try:
        trained = net
        if cached:
            train_batches = feature_batches(net, train_data, shuffle=True)
            val_batches = feature_batches(net, val_data, shuffle=False)
            trained = Tail(net)
        else:
            train_batches, val_batches = batches(train_data), batches(val_data)
        optimizer = optimizers.make_optimizer(
            net, plan, learning_rates(plan, train_batches.get_dataset_size())
        )
        average = moving_average.averaged_copy(net) if plan.ema else None
        network = trained if level == "O0" else mindspore.amp.auto_mixed_precision(trained, level)
        one_step = step.training_step(
            network, optimizer, plan, average, mixed_precision=level != "O0"
        )
        sink = (
            DEFAULTS[mindspore.get_context("device_target")].dataset_sink_mode and mode == "graph"
            if dataset_sink_mode is None
            else dataset_sink_mode
        )
        sink = sink and max_steps is None
        whole = step.MeanLoss(one_step, train_batches.get_dataset_size()) if sink else one_step
        kept = average or net
        model = Model(
            whole,
            metrics={"Accuracy": workers.GlobalAccuracy()},
            eval_indexes=[0, 1, 2],
            eval_network=step.Validation(kept if trained is net else Tail(kept), tta),
        )
        seed = mindspore.get_seed()
        monitor = ValAccMonitor(
            model,
            val_batches,
            plan.epochs,
            save_best_ckpt=ckpt_dir is not None,
            ckpt_directory=ckpt_dir,
            dataset_sink_mode=False,
            overwrite=overwrite,
            metadata=metadata,
            network=kept,
            optimizer=optimizer,
            keep_best=keep_best,
        )
        state = RunState(
            {**net.parameters_dict(), **one_step.parameters_dict()},
            monitor,
            ckpt_dir,
            {
                **(config or {}),
                "recipe": recipe,
                **plan.values(),
                "freeze": freeze,
                "amp_level": level,
            },
            seed=secrets.randbits(31) if seed is None else seed,
        )
        if resume:
            state.restore()
        interrupt = Interrupt(state)
        monitor.eval_callbacks = [interrupt]
        callbacks = [
            interrupt,
            FiniteLoss(state),
            *([StopAtStep(max_steps)] if max_steps else []),
            monitor,
            *([EarlyStop(monitor, plan.patience)] if plan.patience else []),
            *(
                [TensorBoard(monitor, tensorboard, val_data)]
                if tensorboard and monitor.chief
                else []
            ),
            state,
        ]
        with accelerated(one_step, kept):
            run(model, train_batches, plan.epochs, callbacks, state, sink)
        if average is not None:
            for target, source in zip(net.get_parameters(), average.get_parameters()):
                target.set_data(source.value())
    finally:
        if interrupt:
            interrupt.close()
        if held is not None:
            os.close(held)
        mindspore.set_context(mode=before)
    return History(monitor.history, monitor.best_res, monitor.best_ckpt_path)


def run(model, data, epochs, callbacks, state, sink) -> None:
    """Train epoch by epoch. Order and augmentation of an epoch follow from its number, so that any can be repeated.

    Data that sinks is bound to a graph, which is compiled once: there all epochs are one run from the first one's seed.
    """
    if sink and state.epoch < epochs:
        state.step, state.monitor.losses_before = (
            0,
            [],
        )  # an epoch that was interrupted elsewhere begins again
        mindspore.dataset.config.set_seed((state.seed + 7919 * state.epoch) % 2**31)
        model.train(
            epochs, data, callbacks=callbacks, initial_epoch=state.epoch, dataset_sink_mode=True
        )
        return
    while state.epoch < epochs and not state.stopped:
        mindspore.dataset.config.set_seed((state.seed + 7919 * state.epoch) % 2**31)
        rest = data.skip(state.step) if state.step else data
        model.train(
            state.epoch + 1,
            rest,
            callbacks=callbacks,
            initial_epoch=state.epoch,
            dataset_sink_mode=False,
        )


def set_seed(seed: int) -> None:
    """Make weights, data order and augmentation follow from `seed`, for what is built afterwards."""
    if not 0 <= seed < 2**32:
        raise UserError(f"the seed must be in [0, 4294967296), not {seed}")
    mindspore.set_seed(seed)


def resolve_amp(level: str) -> str:
    """The `amp_level` that "auto" stands for on the present device."""
    if level not in ("auto", "O0", "O1", "O2", "O3"):
        raise UserError(f"unknown amp_level {level!r}: choose auto, O0, O1, O2 or O3")
    if level != "auto":
        return level
    return DEFAULTS[mindspore.get_context("device_target")].amp_level
