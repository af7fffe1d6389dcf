"""Data-parallel training with several workers: MindSpore's launcher `msrun` and its collectives.

Without `start_workers` there is one worker, and the functions of this file have no effect.
"""

from __future__ import annotations

import sys

import mindspore
import numpy as np
from mindspore import communication, nn, ops

from mindres.compat import mindspore as private
from mindres.errors import UserError, for_user


def start_workers() -> None:
    """Join the job that `msrun` started: its workers then average their gradients.

    Raises:
        UserError: this process was not started by `msrun`.
    """
    try:
        communication.init()
    except (RuntimeError, ValueError, KeyError) as error:
        first = str(error).strip().splitlines()[0] if str(error).strip() else type(error).__name__
        raise UserError(
            f"this process cannot join other workers ({first}): start it with msrun --worker_num N "
            "--local_worker_num N"
        ) from None
    mindspore.set_auto_parallel_context(
        parallel_mode=mindspore.ParallelMode.DATA_PARALLEL, gradients_mean=True, device_num=size()
    )


def started() -> bool:
    """Whether this process has joined a job of workers."""
    return private.workers_joined()


def rank() -> int:
    """The number of this worker, from 0."""
    return communication.get_rank() if started() else 0


def size() -> int:
    """The number of workers."""
    return communication.get_group_size() if started() else 1


def say(text: str) -> None:
    """Print a line, once for all workers; arguments in backquotes become flags in a program."""
    if rank() == 0:
        print(for_user(text), flush=True)


def warn(text: str) -> None:
    """Print a warning on standard error, as `say` prints a line."""
    if rank() == 0:
        print(f"mindres: warning: {for_user(text)}", file=sys.stderr, flush=True)


def total(values: np.ndarray) -> np.ndarray:
    """The sum over all workers, float32."""
    return (
        ops.AllReduce()(mindspore.Tensor(values, mindspore.float32)).asnumpy()
        if size() > 1
        else values
    )


def share_statistics(net) -> None:
    """Average the batch-normalisation statistics of all workers, each of its own images."""
    if size() == 1:
        return
    for _, cell in net.cells_and_names():
        if isinstance(cell, nn.BatchNorm2d):
            for parameter in (cell.moving_mean, cell.moving_variance):
                parameter.set_data(mindspore.Tensor(total(parameter.asnumpy()) / size()))
