"""ResNet-18 to ResNet-152 for images (He et al., "Deep Residual Learning", arXiv:1512.03385, section 4.1).

The names are those of MindSpore's ResNet-50 tutorial, and so are the parameter names, which are the
checkpoint format: `backbone.conv1.features.0.weight`, `backbone.layer1.0.down_sample.features.1.gamma`,
`head.dense.bias`. The stride of a stage sits in its 3x3 convolution, as in torchvision ("ResNet v1.5").
"""

from __future__ import annotations

from mindspore import nn
from mindspore.common.initializer import HeNormal, initializer
from mindvision.classification.models.blocks import ConvNormActivation
from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead
from mindvision.classification.models.neck import GlobalAvgPooling

from mindres.models.load import load_weights
from mindres.models.pooling import SymmetricMaxPool, check_pad_mode
from mindres.weights.publishers import sources

# timm tests these at another size than it trains them at.
TIMM = {"input_size": 288, "crop_fraction": 1.0}


class ResidualBlockBase(nn.Cell):
    """The two-layer block of ResNet-18 and 34 (figure 5, left): 3x3, 3x3, and the shortcut.

    Shapes: (N, in_channel, H, W) to (N, out_channel, H / stride, W / stride), rounded up.

    Args:
        in_channel: channels of the input.
        out_channel: channels of both convolutions.
        stride: stride of the first convolution.
        norm: normalisation class; `nn.BatchNorm2d` where None.
        down_sample: cell for the shortcut where the shape changes; None is the identity.
    """

    expansion = 1
    # The names of the convolutions before the addition, in their order (see native/accelerate.py).
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
    The arguments are those of `ResidualBlockBase`; `stride` is that of the 3x3 convolution.
    """

    expansion = 4
    branch = ("conv1", "conv2", "conv3")

    def __init__(self, in_channel, out_channel, stride=1, norm=None, down_sample=None):
        super().__init__()
        norm = norm or nn.BatchNorm2d
        self.conv1 = ConvNormActivation(in_channel, out_channel, kernel_size=1, norm=norm)
        self.conv2 = ConvNormActivation(
            out_channel, out_channel, kernel_size=3, stride=stride, norm=norm
        )
        self.conv3 = ConvNormActivation(
            out_channel, out_channel * self.expansion, kernel_size=1, norm=norm, activation=None
        )
        self.relu = nn.ReLU()
        self.down_sample = down_sample

    def construct(self, x):
        identity = x if self.down_sample is None else self.down_sample(x)
        return self.relu(self.conv3(self.conv2(self.conv1(x))) + identity)


def make_layer(last_out_channel, block, channel, block_nums, stride=1, norm=None):
    """One stage: `block_nums` blocks, the first of which changes the shape where it must.

    Args:
        last_out_channel: channels of the stage before.
        block: `ResidualBlockBase` or `ResidualBlock`.
        channel: channels inside the blocks; the stage gives `channel * block.expansion`.
        block_nums: number of blocks.
        stride: stride of the first block.
        norm: normalisation class; `nn.BatchNorm2d` where None.
    """
    norm = norm or nn.BatchNorm2d
    out_channel = channel * block.expansion
    down_sample = None
    if stride != 1 or last_out_channel != out_channel:
        down_sample = ConvNormActivation(
            last_out_channel, out_channel, kernel_size=1, stride=stride, norm=norm, activation=None
        )
    layers = [block(last_out_channel, channel, stride=stride, norm=norm, down_sample=down_sample)]
    layers += [block(out_channel, channel, norm=norm) for _ in range(1, block_nums)]
    return nn.SequentialCell(layers)


class ResNet(nn.Cell):
    """The backbone: (N, in_channels, H, W) images to (N, 512 * block.expansion, H / 32, W / 32) features.

    Args:
        block: `ResidualBlockBase` or `ResidualBlock`.
        layer_nums: number of blocks in each of the four stages.
        norm: normalisation class; `nn.BatchNorm2d` where None.
        in_channels: channels of the images.
        pad_mode: how the 3x3 max-pooling pads: "same" (bottom and right first) as the tutorial, MindVision
            and MindCV have it, or "pad" (all sides) as torchvision and timm have it. Weights trained with
            one give other logits with the other; `load_weights` sets what its source was trained with.
    """

    # The names of the cells that `construct` calls one after the other (see native/accelerate.py).
    sequence = ("conv1", "max_pool", "layer1", "layer2", "layer3", "layer4")

    def __init__(self, block, layer_nums, norm=None, in_channels=3, pad_mode="same"):
        super().__init__()
        norm = norm or nn.BatchNorm2d
        self.conv1 = ConvNormActivation(in_channels, 64, kernel_size=7, stride=2, norm=norm)
        self.set_pad_mode(pad_mode)
        self.layer1 = make_layer(64, block, 64, layer_nums[0], norm=norm)
        self.layer2 = make_layer(
            64 * block.expansion, block, 128, layer_nums[1], stride=2, norm=norm
        )
        self.layer3 = make_layer(
            128 * block.expansion, block, 256, layer_nums[2], stride=2, norm=norm
        )
        self.layer4 = make_layer(
            256 * block.expansion, block, 512, layer_nums[3], stride=2, norm=norm
        )

    def set_pad_mode(self, pad_mode):
        """Pool with `pad_mode`, "same" or "pad", from now on."""
        check_pad_mode(pad_mode)
        if pad_mode == "same":
            self.max_pool = nn.MaxPool2d(kernel_size=3, stride=2, pad_mode="same")
        else:
            self.max_pool = SymmetricMaxPool()

    def construct(self, x):
        x = self.max_pool(self.conv1(x))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


def kaiming_normal(net):
    """Draw every convolution's weights from Kaiming's normal distribution, fan-out (arXiv:1502.01852, section 2.2)."""
    for _, cell in net.cells_and_names():
        if isinstance(cell, nn.Conv2d):
            weight = cell.weight
            weight.set_data(
                initializer(
                    HeNormal(mode="fan_out", nonlinearity="relu"), weight.shape, weight.dtype
                )
            )


LAYERS = {
    "resnet18": (ResidualBlockBase, (2, 2, 2, 2)),
    "resnet34": (ResidualBlockBase, (3, 4, 6, 3)),
    "resnet50": (ResidualBlock, (3, 4, 6, 3)),
    "resnet101": (ResidualBlock, (3, 4, 23, 3)),
    "resnet152": (ResidualBlock, (3, 8, 36, 3)),
}

WEIGHTS = {
    "resnet18": sources(
        mindvision=("resnet18_224", 0.70078),
        mindcv=("resnet/resnet18-1e65cd21", 0.7021),
        torchvision=("resnet18-f37072fd", 0.69758),
        timm=("resnet18.a1_in1k", 0.73158, TIMM),
    ),
    "resnet34": sources(
        mindvision=("resnet34_224", 0.7372),
        mindcv=("resnet/resnet34-f297d27e", 0.7415),
        torchvision=("resnet34-b627a593", 0.73314),
        timm=("resnet34.a1_in1k", 0.77918, TIMM),
    ),
    "resnet50": sources(
        mindvision=("resnet50_224", 0.766),
        mindcv=("resnet/resnet50-e0733ab8", 0.7669),
        torchvision=("resnet50-0676ba61", 0.7613),
        timm=("resnet50.a1_in1k", 0.81214, TIMM),
    ),
    "resnet101": sources(
        mindvision=("resnet101_224", 0.7762),
        mindcv=("resnet/resnet101-689c5e77", 0.7824),
        torchvision=("resnet101-63fe2227", 0.77374),
        timm=("resnet101.a1h_in1k", 0.82778, TIMM),
    ),
    "resnet152": sources(
        mindvision=("resnet152_224", 0.78636),
        mindcv=("resnet/resnet152-beb689d8", 0.7872),
        torchvision=("resnet152-394f9c45", 0.78312),
        timm=("resnet152.a1h_in1k", 0.8345, TIMM),
    ),
}


def _resnet(arch, num_classes, pretrained, in_channels, pad_mode):
    block, layer_nums = LAYERS[arch]
    net = BaseClassifier(
        ResNet(block, layer_nums, in_channels=in_channels, pad_mode=pad_mode),
        GlobalAvgPooling(),
        DenseHead(512 * block.expansion, num_classes),
    )
    return finish(
        net,
        {
            "arch": arch,
            "num_classes": num_classes,
            "in_channels": in_channels,
            "pad_mode": pad_mode,
        },
        pretrained,
        WEIGHTS[arch],
    )


def finish(net, architecture, pretrained=False, published=None):
    """What every network's function does last; returns `net`, initialised, described, and with its weights.

    Args:
        net: the network.
        architecture: its name, "arch", and the options with which `create_model` builds it again.
        pretrained: what `load_weights` shall load, or False.
        published: published weights of this architecture by publisher.
    """
    kaiming_normal(net)
    net.architecture = architecture
    net.sources = published or {}
    # A new cell infers, but MindSpore would keep its compiled graph as the one for training.
    net.set_train(False)
    if pretrained:
        load_weights(net, pretrained)
    return net


def resnet18(num_classes=1000, pretrained=False, in_channels=3, pad_mode="same"):
    """ResNet-18: 11,689,512 parameters at 1000 classes. Arguments as for `resnet50`."""
    return _resnet("resnet18", num_classes, pretrained, in_channels, pad_mode)


def resnet34(num_classes=1000, pretrained=False, in_channels=3, pad_mode="same"):
    """ResNet-34: 21,797,672 parameters at 1000 classes. Arguments as for `resnet50`."""
    return _resnet("resnet34", num_classes, pretrained, in_channels, pad_mode)


def resnet50(num_classes=1000, pretrained=False, in_channels=3, pad_mode="same"):
    """ResNet-50: 25,557,032 parameters at 1000 classes.

    Takes normalised float images (N, in_channels, H, W) of any size from 32 up, 224 by default, and
    returns logits (N, num_classes).

    Args:
        num_classes: width of the classifier.
        pretrained: False; True or "mindvision" for the tutorial's ImageNet weights; "mindcv" or
            "torchvision" for theirs, verified by the hash in their name; or a path or URL, see
            `load_weights`. A classifier of another width starts afresh.
        in_channels: channels of the images.
        pad_mode: how the max-pooling pads, see `ResNet`.

    Raises:
        UserError: the weights cannot be had, are damaged, or belong to another network.
    """
    return _resnet("resnet50", num_classes, pretrained, in_channels, pad_mode)


def resnet101(num_classes=1000, pretrained=False, in_channels=3, pad_mode="same"):
    """ResNet-101: 44,549,160 parameters at 1000 classes. Arguments as for `resnet50`."""
    return _resnet("resnet101", num_classes, pretrained, in_channels, pad_mode)


def resnet152(num_classes=1000, pretrained=False, in_channels=3, pad_mode="same"):
    """ResNet-152: 60,192,808 parameters at 1000 classes. Arguments as for `resnet50`."""
    return _resnet("resnet152", num_classes, pretrained, in_channels, pad_mode)
