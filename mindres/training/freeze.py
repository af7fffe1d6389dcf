"""Keeps the first stages of a network as they are."""

from __future__ import annotations

from mindspore import nn

from mindres.errors import UserError
from mindres.training import optimizers


def freeze_stages(net, freeze: str) -> None:
    """Keep the stages up to `freeze` as they are, the statistics of their batch normalisation included."""
    if freeze == "none":
        return
    stages = list(dict.fromkeys(optimizers.stage_of(p.name) for p in net.get_parameters()))
    stages.remove("head")
    if freeze != "backbone" and freeze not in stages:
        raise UserError(f"unknown freeze {freeze!r}: choose none, backbone, {', '.join(stages)}")
    frozen = stages if freeze == "backbone" else stages[: stages.index(freeze) + 1]
    for stage in frozen:
        part = getattr(net.backbone, stage)
        for parameter in part.get_parameters():
            parameter.requires_grad = False
        for _, cell in part.cells_and_names():
            if isinstance(cell, nn.BatchNorm2d):
                cell.use_batch_statistics = False
