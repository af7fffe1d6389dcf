"""Assembles a run: batches, optimizer, step, model and callbacks."""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

import mindspore
from mindspore.train import Callback, Model

from mindres.callbacks.early_stop import EarlyStop
from mindres.callbacks.finite_loss import FiniteLoss
from mindres.callbacks.first_validation import FirstValidation
from mindres.callbacks.interrupt import Interrupt
from mindres.callbacks.last_checkpoint import LastCheckpoint
from mindres.callbacks.monitor import ValAccMonitor
from mindres.callbacks.stop_at_step import StopAtStep
from mindres.callbacks.stop_at_time import StopAtTime
from mindres.callbacks.tensorboard import TensorBoard
from mindres.callbacks.waiting import Waiting
from mindres.data.as_trained import describe
from mindres.data.dataset import ImageDataset
from mindres.data.pipeline import batches
from mindres.devices import workers
from mindres.errors import UserError
from mindres.evaluation.metrics import METRICS
from mindres.evaluation.validation import ValidationMetrics
from mindres.native.precision import element_type
from mindres.runs.config import data_settings
from mindres.runs.folder import RunFolder
from mindres.training import balance, moving_average, optimizers, step
from mindres.training.arguments import Arguments
from mindres.training.frozen_features import Tail, feature_batches, warn_of_augmentation
from mindres.training.linear_probe import fit_linear_probe
from mindres.training.recipes import recipe_options
from mindres.training.schedules import learning_rates
from mindres.weights.formats import read_checkpoint


@dataclass
class Assembly:
    """The parts of a run that is ready to start.

    kept: the network that is validated and saved: the moving average if there is one.
    step: the cell that trains on a batch.
    """

    model: Model
    batches: mindspore.dataset.Dataset
    step: mindspore.nn.Cell
    kept: mindspore.nn.Cell
    monitor: ValAccMonitor
    last_checkpoint: LastCheckpoint
    interrupt: Interrupt
    callbacks: list[Callback]


def assemble(net, train_data, val_data, args: Arguments) -> Assembly:
    """Assemble the run of `net` that `args` describe, at the point where a resumed run stopped."""
    if args.linear_probe:
        _fit_probe(net, train_data, val_data, args)
    features = args.keeps_features(train_data, val_data)
    if features:
        if args.resume:
            _restore_frozen(net, RunFolder(args.ckpt_dir).last)
        warn_of_augmentation(train_data)
        sampled = args.balance == "sample"
        train_batches = feature_batches(
            net, train_data, True, balanced=sampled, amp_level=args.amp_level
        )
        val_batches = feature_batches(net, val_data, False, amp_level=args.amp_level)
    else:
        balanced = args.balance == "sample"
        train_batches = batches(balance.sampled(train_data) if balanced else train_data)
        val_batches = batches(val_data)
    part = Tail if features else (lambda network: network)
    steps = train_batches.get_dataset_size()
    recipe = args.recipe
    optimizer = optimizers.make_optimizer(net, recipe, learning_rates(recipe, steps))
    average = moving_average.averaged_copy(net) if recipe.ema else None
    kept = average or net
    one_step = _one_step(part(net), net, optimizer, average, args, _class_weights(train_data, args))
    tta = recipe.tta and getattr(train_data, "mirrored", True) and not features
    model = Model(
        step.MeanLoss(one_step, steps) if args.sink else one_step,
        metrics={"validation": ValidationMetrics()},
        eval_indexes=[0, 1, 2],
        eval_network=step.Validation(part(kept), tta),
    )
    metadata = replace(describe(train_data), tta=tta)
    monitor = _monitor(model, val_batches, metadata, kept, optimizer, args)
    if isinstance(val_data, ImageDataset):
        monitor.images = f"{len(val_data):,} {val_data.split} images"
    last_checkpoint = _last_checkpoint(net, one_step, monitor, args, train_data, val_data)
    if args.resume:
        last_checkpoint.restore()
    interrupt = Interrupt(last_checkpoint)
    monitor.eval_callbacks = [interrupt]
    callbacks = _callbacks(args, monitor, last_checkpoint, val_data)
    return Assembly(
        model=model,
        batches=train_batches,
        step=one_step,
        kept=kept,
        monitor=monitor,
        last_checkpoint=last_checkpoint,
        interrupt=interrupt,
        callbacks=[interrupt, *callbacks],
    )


def _restore_frozen(net, last) -> None:
    """Give `net` the weights of `last.ckpt`, if it is there, before features are computed of them.

    Whatever does not fit is an error when the whole run is restored.
    """
    if not last.exists():
        return
    arrays, _ = read_checkpoint(last)
    for name, parameter in net.parameters_dict().items():
        if name in arrays and arrays[name].shape == parameter.shape:
            parameter.set_data(mindspore.Tensor(arrays[name], parameter.dtype))


def _fit_probe(net, train_data, val_data, args: Arguments) -> None:
    """Fit the classifier, unless the run is resumed, which has trained it already."""
    if args.resume and RunFolder(args.ckpt_dir).last.exists():
        return
    if not (isinstance(train_data, ImageDataset) and isinstance(val_data, ImageDataset)):
        raise UserError("`linear_probe` needs data sets of mindres.data")
    if workers.size() > 1:
        raise UserError("several workers cannot fit a linear probe: leave `linear_probe` out")
    balanced = args.balance != "none"
    fit_linear_probe(net, train_data, val_data, args.select, balanced, args.amp_level)


def _class_weights(train_data, args: Arguments):
    if args.balance != "weight":
        return None
    return balance.class_weights(balance.class_counts(train_data))


def _one_step(trained, net, optimizer, average, args: Arguments, class_weights):
    """The cell that trains `trained`, which is `net` or a part of it, on a batch."""
    # With the bfloat16 of the native operators, the loss needs no scaling.
    mixed = args.amp_level != "O0" and element_type(args.amp_level) == mindspore.float32
    if mixed:
        trained = mindspore.amp.auto_mixed_precision(trained, args.amp_level)
    return step.training_step(
        trained, optimizer, args.recipe, average, mixed, averaged=net, class_weights=class_weights
    )


def _monitor(model, val_batches, metadata, kept, optimizer, args: Arguments) -> ValAccMonitor:
    return ValAccMonitor(
        model,
        val_batches,
        args.recipe.epochs,
        save_best_ckpt=args.ckpt_dir is not None,
        ckpt_directory=args.ckpt_dir,
        metric_name=METRICS[args.select].title,
        dataset_sink_mode=False,
        overwrite=args.overwrite,
        metadata=metadata,
        network=kept,
        optimizer=optimizer,
        keep_best=args.keep_best,
        select=args.select,
    )


def _last_checkpoint(net, one_step, monitor, args, train_data, val_data) -> LastCheckpoint:
    seed = mindspore.get_seed()
    return LastCheckpoint(
        net.parameters_dict(),
        one_step.parameters_dict(),
        monitor,
        args.ckpt_dir,
        config={**args.recorded(), **data_settings(train_data, val_data)},
        defaults={option.name: option.default for option in recipe_options()},
        seed=secrets.randbits(31) if seed is None else seed,
    )


def _callbacks(args, monitor, last_checkpoint, val_data) -> list[Callback]:
    """The callbacks of a run in their order; the checkpoint comes after those that it records."""
    callbacks: list[Callback] = [FiniteLoss(last_checkpoint)]
    if args.max_steps:
        callbacks.append(StopAtStep(args.max_steps))
    if args.max_seconds is not None:
        callbacks.append(StopAtTime(args.max_seconds))
    callbacks.append(monitor)
    if args.linear_probe:
        callbacks.append(FirstValidation(monitor))
    if args.recipe.patience:
        callbacks.append(EarlyStop(monitor, args.recipe.patience))
    if args.tensorboard and monitor.chief:
        callbacks.append(TensorBoard(monitor, args.tensorboard, val_data))
    return [*callbacks, last_checkpoint, Waiting()]
