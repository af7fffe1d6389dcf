"""The classic networks that ResNet grew out of: LeNet-5, a two-layer ConvNet, AlexNet and VGG-16.

AlexNet and VGG-16 are torchvision's, layer for layer. In each, `backbone` holds the convolutions,
`neck` the hidden fully connected layers, and `head.dense` the classifier.
"""

from __future__ import annotations

from collections import OrderedDict

from mindspore import nn, ops
from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead

from mindres.errors import UserError
from mindres.models.pooling import AdaptivePool
from mindres.models.resnet import finish
from mindres.weights.publishers import sources

WEIGHTS = {
    "lenet5": sources(
        mindvision=(
            "lenet_mnist",
            0.98768,
            {
                "num_classes": 10,
                "mean": (0.1307,),
                "std": (0.3081,),
                "input_size": 32,
                "crop_fraction": 1.0,
            },
        )
    ),
    "alexnet": sources(torchvision=("alexnet-owt-7be5be79", 0.56522)),
    "vgg16": sources(
        mindcv=("vgg/vgg16-95697531", 0.7461),
        torchvision=("vgg16-397923af", 0.71592),
        timm=("vgg16.tv_in1k", 0.71592),
    ),
}


class LeNet5(nn.Cell):
    """LeCun et al. (1998), with max-pooling and ReLU as it is taught today: (N, C, 32, 32) to (N, 16, 5, 5)."""

    sides = (32, 32)

    def __init__(self, in_channels=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 6, 5, pad_mode="valid", has_bias=True)
        self.conv2 = nn.Conv2d(6, 16, 5, pad_mode="valid", has_bias=True)
        self.relu = nn.ReLU()
        self.max_pool = nn.MaxPool2d(kernel_size=2, stride=2)

    def construct(self, x):
        check_size(x.shape, *self.sides)
        x = self.max_pool(self.relu(self.conv1(x)))
        return self.max_pool(self.relu(self.conv2(x)))


class ConvNet(nn.Cell):
    """Two 3x3 convolutions for MNIST, each with 2x2 max-pooling: (N, C, 28, 28) to (N, 16, 7, 7)."""

    sides = (28, 28)

    def __init__(self, in_channels=1):
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, 8, 3, pad_mode="same", has_bias=True)
        self.conv2 = nn.Conv2d(8, 16, 3, pad_mode="same", has_bias=True)
        self.relu = nn.ReLU()
        self.max_pool = nn.MaxPool2d(kernel_size=2, stride=2)

    def construct(self, x):
        check_size(x.shape, *self.sides)
        x = self.max_pool(self.relu(self.conv1(x)))
        return self.max_pool(self.relu(self.conv2(x)))


class AlexNet(nn.Cell):
    """Krizhevsky's one-tower AlexNet (arXiv:1404.5997): (N, C, 224, 224) to (N, 256, 6, 6); 63x63 up."""

    sides = (63,)

    def __init__(self, in_channels=3):
        super().__init__()
        self.features = nn.SequentialCell(
            _conv(in_channels, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            _conv(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            _conv(192, 384, 3, padding=1),
            nn.ReLU(),
            _conv(384, 256, 3, padding=1),
            nn.ReLU(),
            _conv(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )

    def construct(self, x):
        # MindSpore takes a 3x3 maximum of a single pixel without a word.
        check_size(x.shape, *self.sides)
        return self.features(x)


class VGG16(nn.Cell):
    """Simonyan and Zisserman's configuration D (arXiv:1409.1556): (N, C, 224, 224) to (N, 512, 7, 7); 32x32 up."""

    sides = (32,)

    def __init__(self, in_channels=3):
        super().__init__()
        layers = []
        for channels, convolutions in ((64, 2), (128, 2), (256, 3), (512, 3), (512, 3)):
            for _ in range(convolutions):
                layers += [_conv(in_channels, channels, 3, padding=1), nn.ReLU()]
                in_channels = channels
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        self.features = nn.SequentialCell(layers)

    def construct(self, x):
        check_size(x.shape, *self.sides)
        return self.features(x)


@ops.constexpr(check=False)  # an exported network's batch size is no constant, and is not looked at
def check_size(shape, least, most=None):
    """Raise `UserError`, while the network is compiled, for images of this `shape` that it cannot take."""
    height, width = shape[2:]
    if min(height, width) < least or (most and max(height, width) > most):
        wanted = f"{least}x{least}" if most == least else f"at least {least}x{least}"
        raise UserError(
            f"this network takes images of {wanted} pixels, not {height}x{width}: resize them"
        )


def _conv(in_channels, channels, kernel_size, stride=1, padding=0):
    return nn.Conv2d(
        in_channels, channels, kernel_size, stride, pad_mode="pad", padding=padding, has_bias=True
    )


def lenet5(num_classes=10, pretrained=False, in_channels=1):
    """LeNet-5: 61,706 parameters at 10 classes and one channel.

    Takes normalised float images (N, in_channels, 32, 32), no other size, and returns logits (N, num_classes).

    Args:
        num_classes: width of the classifier.
        pretrained: False; True for published weights, or the name of their publisher (see `WEIGHTS`; torchvision's
            take PyTorch to be read); or a path or URL, see `load_weights`. A classifier of another width starts afresh.
        in_channels: channels of the images.

    Raises:
        UserError: the weights cannot be had, are damaged, or belong to another network.
    """
    neck = nn.SequentialCell(
        OrderedDict(
            flatten=nn.Flatten(),
            fc1=nn.Dense(400, 120, activation="relu"),
            fc2=nn.Dense(120, 84, activation="relu"),
        )
    )
    net = BaseClassifier(LeNet5(in_channels), neck, DenseHead(84, num_classes))
    return finish(
        net,
        {"arch": "lenet5", "num_classes": num_classes, "in_channels": in_channels},
        pretrained,
        WEIGHTS["lenet5"],
    )


def convnet(num_classes=10, pretrained=False, in_channels=1):
    """The MNIST ConvNet: 9,098 parameters at 10 classes and one channel.

    Takes images (N, in_channels, 28, 28), no other size. Arguments as for `lenet5`.
    """
    net = BaseClassifier(ConvNet(in_channels), nn.Flatten(), DenseHead(784, num_classes))
    return finish(
        net, {"arch": "convnet", "num_classes": num_classes, "in_channels": in_channels}, pretrained
    )


def alexnet(num_classes=1000, pretrained=False, in_channels=3):
    """AlexNet: 61,100,840 parameters at 1000 classes.

    Takes images (N, in_channels, H, W) of any size from 63 up, 224 by default. Arguments as for `lenet5`.
    """
    neck = nn.SequentialCell(
        OrderedDict(
            pool=AdaptivePool(6),
            flatten=nn.Flatten(),
            drop6=nn.Dropout(p=0.5),
            fc6=nn.Dense(256 * 6 * 6, 4096, activation="relu"),
            drop7=nn.Dropout(p=0.5),
            fc7=nn.Dense(4096, 4096, activation="relu"),
        )
    )
    net = BaseClassifier(AlexNet(in_channels), neck, DenseHead(4096, num_classes))
    return finish(
        net,
        {"arch": "alexnet", "num_classes": num_classes, "in_channels": in_channels},
        pretrained,
        WEIGHTS["alexnet"],
    )


def vgg16(num_classes=1000, pretrained=False, in_channels=3):
    """VGG-16 without batch normalisation: 138,357,544 parameters at 1000 classes.

    Takes images (N, in_channels, H, W) of any size from 32 up, 224 by default. Arguments as for `lenet5`.
    """
    neck = nn.SequentialCell(
        OrderedDict(
            pool=AdaptivePool(7),
            flatten=nn.Flatten(),
            fc6=nn.Dense(512 * 7 * 7, 4096, activation="relu"),
            drop6=nn.Dropout(p=0.5),
            fc7=nn.Dense(4096, 4096, activation="relu"),
        )
    )
    net = BaseClassifier(VGG16(in_channels), neck, DenseHead(4096, num_classes, keep_prob=0.5))
    return finish(
        net,
        {"arch": "vgg16", "num_classes": num_classes, "in_channels": in_channels},
        pretrained,
        WEIGHTS["vgg16"],
    )
