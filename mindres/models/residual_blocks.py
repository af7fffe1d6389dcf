"""Residual blocks, the stages made of them, and their parameter names at other publishers."""

from __future__ import annotations

from mindspore import nn
from mindvision.classification.models.blocks import ConvNormActivation

from mindres.weights.naming import Naming


class ResidualBlockBase(nn.Cell):
    """The two-layer block of ResNet-18 and 34 (figure 5, left): 3x3, 3x3, and the shortcut.

    Shapes: (N, in_channel, H, W) to (N, out_channel, H / stride, W / stride), rounded up.

    Args:
        in_channel: channels of the input.
        out_channel: channels of both convolutions.
        stride: stride of the first convolution.
        norm: normalisation class; None for `nn.BatchNorm2d`.
        down_sample: cell for the shortcut if the shape changes; None for the identity.
    """

    expansion = 1
    # The convolutions before the addition, in order; native/replacements.py uses the names.
    branch = ("conv1", "conv2")

    def __init__(self, in_channel, out_channel, stride=1, norm=None, down_sample=None):
        super().__init__()
        norm = norm or nn.BatchNorm2d
        self.conv1 = ConvNormActivation(
            in_channel, out_channel, kernel_size=3, stride=stride, norm=norm
        )
        self.conv2 = ConvNormActivation(
            out_channel, out_channel, kernel_size=3, norm=norm, activation=None
        )
        self.relu = nn.ReLU()
        self.down_sample = down_sample

    def construct(self, x):
        identity = x if self.down_sample is None else self.down_sample(x)
        return self.relu(self.conv2(self.conv1(x)) + identity)


class ResidualBlock(nn.Cell):
    """The bottleneck of ResNet-50, 101 and 152 (figure 5, right): 1x1, 3x3, 1x1, and the shortcut.

    Shapes: (N, in_channel, H, W) to (N, 4 * out_channel, H / stride, W / stride), rounded up.

    Args:
        in_channel, norm, down_sample: as for `ResidualBlockBase`.
        out_channel: a quarter of the output's channels; with the default `groups` and `base_width`
            also the channels of the 3x3 convolution.
        stride: stride of the 3x3 convolution.
        groups: groups of the 3x3 convolution, for ResNeXt (arXiv:1611.05431).
        base_width: channels of each group if `out_channel` is 64; 128 in a wide ResNet.
    """

    expansion = 4
    branch = ("conv1", "conv2", "conv3")

    def __init__(
        self,
        in_channel,
        out_channel,
        stride=1,
        norm=None,
        down_sample=None,
        groups=1,
        base_width=64,
    ):
        super().__init__()
        norm = norm or nn.BatchNorm2d
        width = out_channel * base_width // 64 * groups
        self.conv1 = ConvNormActivation(in_channel, width, kernel_size=1, norm=norm)
        self.conv2 = ConvNormActivation(
            width, width, kernel_size=3, stride=stride, groups=groups, norm=norm
        )
        self.conv3 = ConvNormActivation(
            width, out_channel * self.expansion, kernel_size=1, norm=norm, activation=None
        )
        self.relu = nn.ReLU()
        self.down_sample = down_sample

    def construct(self, x):
        identity = x if self.down_sample is None else self.down_sample(x)
        return self.relu(self.conv3(self.conv2(self.conv1(x))) + identity)


def make_layer(last_out_channel, block, channel, block_nums, stride=1, norm=None, **block_options):
    """A stage of `block_nums` blocks, the first of which changes the shape.

    Args:
        last_out_channel: channels of the stage before.
        block: `ResidualBlockBase` or `ResidualBlock`.
        channel: `out_channel` of the blocks; the stage returns `channel * block.expansion`.
        block_nums: number of blocks.
        stride: stride of the first block.
        norm: normalisation class; None for `nn.BatchNorm2d`.
        block_options: further arguments of each block, such as `groups` and `base_width`.
    """
    norm = norm or nn.BatchNorm2d
    out_channel = channel * block.expansion
    down_sample = None
    if stride != 1 or last_out_channel != out_channel:
        down_sample = ConvNormActivation(
            last_out_channel, out_channel, kernel_size=1, stride=stride, norm=norm, activation=None
        )
    first = block(
        last_out_channel,
        channel,
        stride=stride,
        norm=norm,
        down_sample=down_sample,
        **block_options,
    )
    layers = [first]
    for _ in range(1, block_nums):
        layers.append(block(out_channel, channel, norm=norm, **block_options))
    return nn.SequentialCell(layers)


def residual_naming(down_sample, classifier, **options) -> Naming:
    """The naming of a publisher whose convolutions and normalisations are siblings.

    Args:
        down_sample: its name of the shortcut.
        classifier: its name of the classifier.
        options: options of `Naming`.
    """
    rules = [
        (r"^backbone\.conv1\.features\.0\.", "conv1."),
        (r"^backbone\.conv1\.features\.1\.", "bn1."),
        (r"^backbone\.(layer\d\.\d+)\.conv(\d)\.features\.0\.", r"\1.conv\2."),
        (r"^backbone\.(layer\d\.\d+)\.conv(\d)\.features\.1\.", r"\1.bn\2."),
        (r"^backbone\.(layer\d\.\d+)\.down_sample\.features\.", rf"\1.{down_sample}."),
        (r"^head\.dense\.", f"{classifier}."),
    ]
    return Naming(rules, **options)
