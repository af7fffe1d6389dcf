"""Freezes the first stages of a network."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

from mindspore import nn

from mindres.errors import UserError
from mindres.training import optimizers


def frozen_stages(net, freeze: str) -> list[str]:
    """The stages that `freeze` means: "none", "backbone" for all, or the last frozen one.

    Raises:
        UserError: the network has no such stage.
    """
    if freeze == "none":
        return []
    stages = list(dict.fromkeys(optimizers.stage_of(p.name) for p in net.get_parameters()))
    stages.remove("head")
    if freeze == "backbone":
        return stages
    if freeze not in stages:
        raise UserError(f"unknown freeze {freeze!r}: choose none, backbone, {', '.join(stages)}")
    return stages[: stages.index(freeze) + 1]


def freeze_stages(net, freeze: str) -> None:
    """Freeze the stages up to `freeze`, including their batch-normalisation statistics."""
    for part in _parts(net, freeze):
        for parameter in part.get_parameters():
            parameter.requires_grad = False
        for norm in _norms(part):
            norm.use_batch_statistics = False


@contextlib.contextmanager
def undone_on_error(net) -> Iterator[None]:
    """If the block fails, restore what is frozen in `net`."""
    trained = {parameter: parameter.requires_grad for parameter in net.get_parameters()}
    statistics = [(norm, norm.use_batch_statistics) for norm in _norms(net)]
    try:
        yield
    except BaseException:
        for parameter, requires_grad in trained.items():
            parameter.requires_grad = requires_grad
        for norm, use in statistics:
            norm.use_batch_statistics = use
        raise


def _parts(net, freeze: str) -> list[nn.Cell]:
    return [getattr(net.backbone, stage) for stage in frozen_stages(net, freeze)]


def _norms(part) -> list[nn.BatchNorm2d]:
    return [cell for _, cell in part.cells_and_names() if isinstance(cell, nn.BatchNorm2d)]
