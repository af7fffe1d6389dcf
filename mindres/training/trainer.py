"""`mindres.train`: trains a network by a recipe; runs are recorded and can be resumed."""

from __future__ import annotations

import contextlib

import mindspore

from mindres.data.dataset import ImageDataset
from mindres.devices import workers
from mindres.errors import UserError
from mindres.evaluation.inference import in_mode
from mindres.models.build import check_images
from mindres.native.accelerate import accelerated
from mindres.native.precision import element_type
from mindres.runs.folder import RunFolder
from mindres.training import balance as balancing
from mindres.training.arguments import MODES, resolve
from mindres.training.assembly import assemble
from mindres.training.epochs import run_epochs
from mindres.training.freeze import freeze_stages, frozen_stages, undone_on_error
from mindres.training.history import History


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
    select="accuracy",
    balance="none",
    max_seconds=None,
    linear_probe=False,
    **overrides,
) -> History:
    """Train `net` and keep the weights with the best validation metric in `ckpt_dir/best.ckpt`.

    A line is printed for each epoch. `ckpt_dir` also gets `last.ckpt` to resume from, `history.csv`
    and `config.json`. A run that fails in its first epoch leaves the folder as it was. On Ctrl-C or
    SIGTERM the run finishes the step, saves and raises KeyboardInterrupt.

    Args:
        net: a network of this package; its weights change in place.
        train_data, val_data: an `ImageDataset` of `mindres.data`, or a MindSpore dataset of (image,
            label) batches.
        recipe: a name of `recipes.RECIPES`.
        freeze: "none"; "backbone" to train the classifier only; or the last frozen stage, "conv1"
            to "layer4". Frozen stages keep their normalisation statistics.
        amp_level: mixed precision. On CPU "O0" is float32, and "O2" is bfloat16 with float32
            weights; "auto" is O2 if the processor has AMX, else O0. Elsewhere "O0" to "O3" of
            `mindspore.amp`; "auto" is O2. With "auto" a resumed run keeps its level.
        mode: "graph", or "pynative" to step through the network with a debugger.
        ckpt_dir: folder of the checkpoints; None keeps none. Only one run at a time can use it.
        keep_best: number of checkpoints to keep, by the metric; those after the first are called
            `best-epoch-N.ckpt`.
        overwrite: let this run replace a better best.ckpt of an earlier one, see `ValAccMonitor`.
        resume: continue from `ckpt_dir/last.ckpt` if it exists. On CPU, networks without dropout
            then have the losses of a run that was never interrupted.
        max_steps: stop after this many steps; the epoch is still validated.
        tensorboard: folder for TensorBoard's curves and predictions, or None.
        cache_features: with a frozen backbone, compute the features of each `ImageDataset` once and
            keep them on disk; images are then neither augmented nor, in validation, mirrored.
        dataset_sink_mode: run the steps of an epoch on the device without returning to Python;
            None does so on GPU and Ascend, unless `max_steps` is given. On Ctrl-C the run then
            finishes the epoch instead of the step.
        config: recorded in `config.json` with the recipe.
        select: the validation metric that chooses the best weights, and that `patience` watches:
            "accuracy", "balanced_accuracy" or "macro_f1", see `evaluation.metrics.METRICS`.
        balance: how to give classes of unequal size equal weight: "none"; "sample" draws all
            classes equally often; "weight" weights the loss; "auto" is "sample" if the largest
            class has at least three times the images of the smallest, else "none".
        max_seconds: stop after this many seconds; the epoch is still validated.
        linear_probe: first fit the classifier to the network's features by logistic regression; if
            no epoch is better, these weights are kept. Without effect on a resumed run.
        overrides: fields of `recipes.Recipe` by name, such as epochs=5 or lr=0.1; None leaves the
            recipe's value.

    Raises:
        UserError: an argument is out of range, another run is training in `ckpt_dir`, the
            checkpoints cannot be written or read, or the loss is no longer finite.
    """
    balanced = balance
    if balance == "auto":
        balanced = balancing.resolved(balance, balancing.class_counts(train_data))
    balancing.check(balanced, train_data, getattr(train_data, "num_shards", None))
    args = resolve(
        recipe,
        overrides,
        freeze=freeze,
        amp_level=amp_level,
        mode=mode,
        select=select,
        balance=balanced,
        max_seconds=max_seconds,
        linear_probe=linear_probe,
        ckpt_dir=ckpt_dir,
        keep_best=keep_best,
        overwrite=overwrite,
        resume=resume,
        max_steps=max_steps,
        tensorboard=tensorboard,
        cache_features=cache_features,
        dataset_sink_mode=dataset_sink_mode,
        config=config,
    )
    if isinstance(train_data, ImageDataset):
        check_images(net, (train_data.channels, *train_data.resize))
    frozen_stages(net, freeze)
    with contextlib.ExitStack() as ends:
        if ckpt_dir is not None and workers.rank() == 0:
            ends.enter_context(RunFolder(ckpt_dir).locked())
        ends.enter_context(in_mode(MODES[mode]))
        with undone_on_error(net):
            freeze_stages(net, freeze)
            run = assemble(net, train_data, val_data, args)
        ends.enter_context(run.interrupt.listening())
        with accelerated(run.step, run.kept, dtype=element_type(args.amp_level)):
            run_epochs(
                run.model,
                run.batches,
                args.recipe.epochs,
                run.callbacks,
                run.last_checkpoint,
                args.sink,
            )
        if run.kept is not net:
            for target, source in zip(net.get_parameters(), run.kept.get_parameters()):
                target.set_data(source.value())
    monitor = run.monitor
    net.metadata = monitor.metadata
    return History(monitor.history, monitor.best_res, monitor.best_ckpt_path, monitor.images)


def set_seed(seed: int) -> None:
    """Set the seed of weights, data order and augmentation of what is built afterwards.

    Raises:
        UserError: `seed` is not in [0, 2**32).
    """
    if not 0 <= seed < 2**32:
        raise UserError(f"the seed must be in [0, 4294967296), not {seed}")
    mindspore.set_seed(seed)
