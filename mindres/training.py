"""Training: cosine-decay Momentum through MindSpore's `Model`, as in the tutorial."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import mindspore
from mindspore import nn
from mindspore.train import Accuracy, Model

from mindres.callbacks import EpochRecord, StopAtStep, ValAccMonitor
from mindres.data import ImageDataset
from mindres.errors import UserError

MODES = {"graph": mindspore.GRAPH_MODE, "pynative": mindspore.PYNATIVE_MODE}


@dataclass
class History:
    """What `train` returns: a record of each epoch, and where the best weights are."""

    epochs: list[EpochRecord] = field(default_factory=list)
    best: float | None = None
    best_ckpt_path: Path | None = None


def train(net, train_data, val_data, *, epochs=40, lr=0.001, min_lr=0.00001, momentum=0.9, weight_decay=0.0,
          freeze="none", amp_level="auto", ckpt_dir="ckpt", overwrite=False, max_steps=None, mode="graph") -> History:
    """Train `net` and keep the weights with the best validation accuracy in `ckpt_dir/best.ckpt`.

    Momentum with the learning rate falling from `lr` to `min_lr` along half a cosine, epoch by epoch, over the
    cross entropy. One line is printed for each epoch.

    Args:
        net: a network of this package; its weights change in place.
        train_data, val_data: an `ImageDataset` of `mindres.data`, or a MindSpore dataset of (image, label) batches.
        epochs: passes over the training data.
        lr, min_lr: first and last learning rate.
        momentum: of the optimizer.
        weight_decay: L2 penalty on every parameter.
        freeze: "none", or "backbone" to train the classifier alone.
        amp_level: mixed precision as in `mindspore.train.Model`: "O0" to "O3"; "auto" is O0 on CPU, O2 elsewhere.
        ckpt_dir: folder of the checkpoints; None keeps none.
        overwrite: let this run replace a better best.ckpt of an earlier one, see `ValAccMonitor`.
        max_steps: stop after this many steps, wherever they end.
        mode: "graph", or "pynative" to step through the network with a debugger.

    Raises:
        UserError: an argument is out of range, or the checkpoints cannot be written.
    """
    if epochs < 1:
        raise UserError(f"epochs must be at least 1, not {epochs}")
    if max_steps is not None and max_steps < 1:
        raise UserError(f"max_steps must be at least 1, not {max_steps}")
    if not lr > min_lr >= 0:
        raise UserError(f"the learning rate falls from lr to min_lr, so lr {lr} must be above min_lr {min_lr}")
    if mode not in MODES:
        raise UserError(f"unknown mode {mode!r}: choose one of {', '.join(MODES)}")
    if freeze not in ("none", "backbone"):
        raise UserError(f"unknown freeze {freeze!r}: choose none or backbone")
    metadata = describe(train_data)
    train_data, val_data = batches(train_data), batches(val_data)
    if freeze == "backbone":
        freeze_backbone(net)
    steps = train_data.get_dataset_size()
    schedule = nn.cosine_decay_lr(min_lr=min_lr, max_lr=lr, total_step=steps * epochs, step_per_epoch=steps,
                                  decay_epoch=epochs)
    optimizer = nn.Momentum(net.trainable_params(), schedule, momentum, weight_decay)
    before = mindspore.get_context("mode")
    mindspore.set_context(mode=MODES[mode])
    try:
        # nn.SoftmaxCrossEntropyWithLogits, which the tutorial takes, gives inf on CPU for logits far apart.
        model = Model(net, nn.CrossEntropyLoss(), optimizer, metrics={"Accuracy": Accuracy()},
                      amp_level=resolve_amp(amp_level))
        monitor = ValAccMonitor(model, val_data, epochs, save_best_ckpt=ckpt_dir is not None, ckpt_directory=ckpt_dir,
                                dataset_sink_mode=False, overwrite=overwrite, metadata=metadata, network=net)
        stop = [StopAtStep(max_steps)] if max_steps else []
        model.train(epochs, train_data, callbacks=[*stop, monitor], dataset_sink_mode=False)
    finally:
        mindspore.set_context(mode=before)
    return History(monitor.history, monitor.best_res, monitor.best_ckpt_path)


def set_seed(seed: int) -> None:
    """Make weights, data order and augmentation follow from `seed`, for what is built afterwards."""
    mindspore.set_seed(seed)


def batches(data):
    """The MindSpore dataset of an `ImageDataset`; any other is returned as it is."""
    return data.run() if isinstance(data, ImageDataset) else data


def describe(data) -> dict:
    """What a checkpoint must note of its dataset, so that it can be used without knowing it."""
    if not isinstance(data, ImageDataset):
        return {}
    return {"dataset": data.name.lower(), "classes": list(data.classes), "mean": list(data.mean),
            "std": list(data.std), "input_size": list(data.resize)}


def freeze_backbone(net) -> None:
    """Keep the backbone's weights as they are, the statistics of its batch normalisation included."""
    for parameter in net.backbone.get_parameters():
        parameter.requires_grad = False
    for _, cell in net.backbone.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            cell.use_batch_statistics = False


def resolve_amp(level: str) -> str:
    """The `amp_level` that "auto" stands for on the present device."""
    if level not in ("auto", "O0", "O1", "O2", "O3"):
        raise UserError(f"unknown amp_level {level!r}: choose auto, O0, O1, O2 or O3")
    if level != "auto":
        return level
    return "O0" if mindspore.get_context("device_target") == "CPU" else "O2"
