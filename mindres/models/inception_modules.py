"""The modules of Inception v3 (arXiv:1512.00567, section 6)."""

from __future__ import annotations

from mindspore import nn
from mindspore.nn import SequentialCell

from mindres.models.layers import Branches, ConvNorm
from mindres.models.pooling import AveragePool3x3


def inception_a(channels, pool):
    """35x35 module (figure 5)."""
    return Branches(
        ConvNorm(channels, 64),
        SequentialCell(ConvNorm(channels, 48), ConvNorm(48, 64, 5)),
        SequentialCell(ConvNorm(channels, 64), ConvNorm(64, 96, 3), ConvNorm(96, 96, 3)),
        SequentialCell(AveragePool3x3(), ConvNorm(channels, pool)),
    )


def inception_b(channels):
    """From 35x35 to 17x17 (figure 10)."""
    return Branches(
        ConvNorm(channels, 384, 3, 2, "valid"),
        SequentialCell(
            ConvNorm(channels, 64), ConvNorm(64, 96, 3), ConvNorm(96, 96, 3, 2, "valid")
        ),
        nn.MaxPool2d(kernel_size=3, stride=2),
    )


def inception_c(channels, middle):
    """17x17 module (figure 6), with n = 7."""
    return Branches(
        ConvNorm(channels, 192),
        SequentialCell(
            ConvNorm(channels, middle),
            ConvNorm(middle, middle, (1, 7)),
            ConvNorm(middle, 192, (7, 1)),
        ),
        SequentialCell(
            ConvNorm(channels, middle),
            ConvNorm(middle, middle, (7, 1)),
            ConvNorm(middle, middle, (1, 7)),
            ConvNorm(middle, middle, (7, 1)),
            ConvNorm(middle, 192, (1, 7)),
        ),
        SequentialCell(AveragePool3x3(), ConvNorm(channels, 192)),
    )


def inception_d(channels):
    """From 17x17 to 8x8 (figure 10)."""
    return Branches(
        SequentialCell(ConvNorm(channels, 192), ConvNorm(192, 320, 3, 2, "valid")),
        SequentialCell(
            ConvNorm(channels, 192),
            ConvNorm(192, 192, (1, 7)),
            ConvNorm(192, 192, (7, 1)),
            ConvNorm(192, 192, 3, 2, "valid"),
        ),
        nn.MaxPool2d(kernel_size=3, stride=2),
    )


def inception_e(channels):
    """8x8 module (figure 7)."""

    def split():
        return Branches(ConvNorm(384, 384, (1, 3)), ConvNorm(384, 384, (3, 1)))

    return Branches(
        ConvNorm(channels, 320),
        SequentialCell(ConvNorm(channels, 384), split()),
        SequentialCell(ConvNorm(channels, 448), ConvNorm(448, 384, 3), split()),
        SequentialCell(AveragePool3x3(), ConvNorm(channels, 192)),
    )
