"""The backbone of residual networks for images, under the tutorial's name `ResNet`."""

from __future__ import annotations

from mindspore import nn
from mindvision.classification.models.blocks import ConvNormActivation

from mindres.models.pooling import SymmetricMaxPool, check_pad_mode
from mindres.models.residual_blocks import make_layer


class ResNet(nn.Cell):
    """The backbone of residual networks for images.

    Shapes: (N, in_channels, H, W) to (N, 512 * block.expansion, H / 32, W / 32). The stride of a
    stage sits in its 3x3 convolution, as in torchvision ("ResNet v1.5").

    Args:
        block: `ResidualBlockBase` or `ResidualBlock`.
        layer_nums: number of blocks in each of the four stages.
        norm: normalisation class; None for `nn.BatchNorm2d`.
        in_channels: channels of the images.
        pad_mode: padding of the 3x3 max-pooling: "same" (bottom and right first) as in the
            tutorial, MindVision and MindCV, or "pad" (all sides) as in torchvision and timm. The
            logits of trained weights depend on it; `load_weights` sets what its source was trained
            with.
        block_options: further arguments of each block, such as `groups` and `base_width`.
    """

    # The cells that `construct` calls, in order; native/replacements.py uses the names.
    sequence = ("conv1", "max_pool", "layer1", "layer2", "layer3", "layer4")

    def __init__(
        self, block, layer_nums, norm=None, in_channels=3, pad_mode="same", **block_options
    ):
        super().__init__()
        norm = norm or nn.BatchNorm2d
        self.conv1 = ConvNormActivation(in_channels, 64, kernel_size=7, stride=2, norm=norm)
        self.set_pad_mode(pad_mode)
        channels = 64
        for stage, block_nums in enumerate(layer_nums):
            width = 64 * 2**stage
            stride = 1 if stage == 0 else 2
            layer = make_layer(
                channels, block, width, block_nums, stride=stride, norm=norm, **block_options
            )
            setattr(self, f"layer{stage + 1}", layer)
            channels = width * block.expansion

    def set_pad_mode(self, pad_mode):
        """Set the padding of the max-pooling, "same" or "pad"."""
        check_pad_mode(pad_mode)
        if pad_mode == "same":
            self.max_pool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="same")
        else:
            self.max_pool = SymmetricMaxPool()

    def construct(self, x):
        x = self.max_pool(self.conv1(x))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))
