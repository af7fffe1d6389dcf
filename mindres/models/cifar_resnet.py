"""ResNet-20 to ResNet-110 for 32x32 images (He et al., "Deep Residual Learning", arXiv:1512.03385, section 4.2).

One 3x3 convolution and three stages of 16, 32 and 64 channels, each of n two-layer blocks: 6n + 2 layers.
Where a stage changes the shape, the shortcut either pads ("A", without parameters, the paper's choice
for CIFAR-10) or projects ("B", a 1x1 convolution with batch normalisation).
"""

from __future__ import annotations

from mindspore import nn, ops
from mindvision.classification.models.blocks import ConvNormActivation
from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead
from mindvision.classification.models.neck import GlobalAvgPooling

from mindres.errors import UserError
from mindres.models.resnet import ResidualBlockBase, finish, make_layer
from mindres.weights.publishers import sources


class PadShortcut(nn.Cell):
    """Shortcut A: every `stride`-th pixel, with zeros for the missing channels, half of them on each side.

    Shapes: (N, in_channel, H, W) to (N, out_channel, H / stride, W / stride), rounded up.
    """

    def __init__(self, in_channel, out_channel, stride):
        super().__init__()
        # On a CPU this is about twice as fast as x[:, :, ::stride, ::stride] and a padding operator.
        self.subsample = nn.MaxPool2d(kernel_size=1, stride=stride)
        self.added = (out_channel - in_channel) // 2

    def construct(self, x):
        x = self.subsample(x)
        batch, _, height, width = x.shape
        zeros = ops.zeros((batch, self.added, height, width), x.dtype)
        return ops.concat((zeros, x, zeros), axis=1)


class CifarResNet(nn.Cell):
    """The backbone: (N, in_channels, H, W) images to (N, 64, H / 4, W / 4) features.

    Args:
        block_nums: n, the number of blocks in each of the three stages.
        shortcut: "A" pads, "B" projects.
        in_channels: channels of the images.
    """

    # The names of the cells that `construct` calls one after the other (see native/accelerate.py).
    sequence = ("conv1", "layer1", "layer2", "layer3")

    def __init__(self, block_nums, shortcut="B", in_channels=3):
        super().__init__()
        if shortcut not in ("A", "B"):
            raise UserError(f"unknown shortcut {shortcut!r}: choose A (pads) or B (projects)")
        self.conv1 = ConvNormActivation(in_channels, 16, kernel_size=3)
        self.layer1 = make_layer(16, ResidualBlockBase, 16, block_nums)
        self.layer2 = _stage(16, 32, block_nums, shortcut)
        self.layer3 = _stage(32, 64, block_nums, shortcut)

    def construct(self, x):
        return self.layer3(self.layer2(self.layer1(self.conv1(x))))


def _stage(in_channel, channel, block_nums, shortcut):
    if shortcut == "B":
        return make_layer(in_channel, ResidualBlockBase, channel, block_nums, stride=2)
    first = ResidualBlockBase(
        in_channel, channel, stride=2, down_sample=PadShortcut(in_channel, channel, 2)
    )
    return nn.SequentialCell(
        [first] + [ResidualBlockBase(channel, channel) for _ in range(1, block_nums)]
    )


# By shortcut and depth, trained on CIFAR-10: akamaster's have shortcut A, chenyaofo's B.
WEIGHTS = {
    "A": {
        20: sources(akamaster=("resnet20-12fca82f", 0.9173)),
        32: sources(akamaster=("resnet32-d509ac18", 0.9263)),
        44: sources(akamaster=("resnet44-014dd654", 0.931)),
        56: sources(akamaster=("resnet56-4bfd9763", 0.9339)),
        110: sources(akamaster=("resnet110-1d1ed7c2", 0.9368)),
    },
    "B": {
        20: sources(chenyaofo=("cifar10_resnet20-4118986f", 0.926)),
        32: sources(chenyaofo=("cifar10_resnet32-ef93fc4d", 0.9353)),
        44: sources(chenyaofo=("cifar10_resnet44-2a3cabcb", 0.9401)),
        56: sources(chenyaofo=("cifar10_resnet56-187c023a", 0.9437)),
    },
}


def _cifar_resnet(depth, num_classes, shortcut, pretrained, in_channels):
    net = BaseClassifier(
        CifarResNet((depth - 2) // 6, shortcut, in_channels),
        GlobalAvgPooling(),
        DenseHead(64, num_classes),
    )
    return finish(
        net,
        {
            "arch": f"resnet{depth}",
            "num_classes": num_classes,
            "shortcut": shortcut,
            "in_channels": in_channels,
        },
        pretrained,
        WEIGHTS[shortcut].get(depth),
    )


def resnet20(num_classes=10, shortcut="B", pretrained=False, in_channels=3):
    """ResNet-20: 272,474 parameters with shortcut B and 269,722 with A, at 10 classes.

    A count of 272,490 is also seen. It has 16 more: biases of the first convolution, which the batch
    normalisation after it cancels.

    Takes normalised float images (N, in_channels, H, W) of any size, 32 by default, and returns logits
    (N, num_classes).

    Args:
        num_classes: width of the classifier.
        shortcut: "A" pads, "B" projects, where a stage changes the shape.
        pretrained: False; True for published CIFAR-10 weights, "akamaster"'s for shortcut A and "chenyaofo"'s
            for B, which take PyTorch to be read; or a path or URL, see `load_weights`. A classifier of another
            width starts afresh.
        in_channels: channels of the images.

    Raises:
        UserError: no such shortcut; or the weights cannot be had, are damaged, or belong to another network.
    """
    return _cifar_resnet(20, num_classes, shortcut, pretrained, in_channels)


def resnet32(num_classes=10, shortcut="B", pretrained=False, in_channels=3):
    """ResNet-32: 466,906 parameters (B), 464,154 (A). Arguments as for `resnet20`."""
    return _cifar_resnet(32, num_classes, shortcut, pretrained, in_channels)


def resnet44(num_classes=10, shortcut="B", pretrained=False, in_channels=3):
    """ResNet-44: 661,338 parameters (B), 658,586 (A). Arguments as for `resnet20`."""
    return _cifar_resnet(44, num_classes, shortcut, pretrained, in_channels)


def resnet56(num_classes=10, shortcut="B", pretrained=False, in_channels=3):
    """ResNet-56: 855,770 parameters (B), 853,018 (A). Arguments as for `resnet20`."""
    return _cifar_resnet(56, num_classes, shortcut, pretrained, in_channels)


def resnet110(num_classes=10, shortcut="B", pretrained=False, in_channels=3):
    """ResNet-110: 1,730,714 parameters (B), 1,727,962 (A). Arguments as for `resnet20`."""
    return _cifar_resnet(110, num_classes, shortcut, pretrained, in_channels)
