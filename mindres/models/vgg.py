"""VGG-16 without batch normalisation (Simonyan and Zisserman, arXiv:1409.1556, configuration D).

Its layers are torchvision's.
"""

from __future__ import annotations

from collections import OrderedDict

from mindspore import nn
from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead

from mindres.models.build import finish
from mindres.models.layers import check_size, conv, dense_naming
from mindres.models.pooling import AdaptivePool
from mindres.models.registry import Family, Network, network_functions
from mindres.weights.naming import Naming
from mindres.weights.publishers import sources

# The width of both hidden layers of the classifier.
WIDTH = 4096

# `design` is the number of convolutions in each of the five stages.
NETWORKS = {
    "vgg16": Network(
        input_shape=(3, 224, 224),
        parameters=138_357_544,
        multiply_adds=15_470_264_320,
        weights=sources(
            mindcv=("vgg/vgg16-95697531", 0.7461),
            torchvision=("vgg16-397923af", 0.71592),
            timm=("vgg16.tv_in1k", 0.71592),
        ),
        design=(2, 2, 3, 3, 3),
    ),
}


class VGG(nn.Cell):
    """The backbone: (N, in_channels, 224, 224) images to (N, 512, 7, 7) features; 32x32 at least.

    Args:
        depths: number of convolutions in each of the five stages.
        in_channels: channels of the images.
    """

    sides = (32,)

    def __init__(self, depths, in_channels=3):
        super().__init__()
        layers = []
        for channels, depth in zip((64, 128, 256, 512, 512), depths):
            for _ in range(depth):
                layers += [conv(in_channels, channels, 3, padding=1), nn.ReLU()]
                in_channels = channels
            layers.append(nn.MaxPool2d(kernel_size=2, stride=2))
        self.features = nn.SequentialCell(layers)

    def construct(self, x):
        check_size(x.shape, *self.sides)
        return self.features(x)


def _function(name, network):
    def build(num_classes=1000, pretrained=False, in_channels=3):
        """Takes normalised float images (N, in_channels, H, W) of any size from 32 up, 224 by
        default, and returns logits (N, num_classes).

        Args:
            num_classes: number of classes.
            pretrained: False; the name of a publisher, or True for the first of those above, for
                ImageNet weights; or a path or URL, see `load_weights`. A classifier of another
                width is initialised at random.
            in_channels: channels of the images.

        Raises:
            UserError: the weights cannot be found, are damaged, or belong to another network.
        """
        neck = nn.SequentialCell(
            OrderedDict(
                pool=AdaptivePool(7),
                flatten=nn.Flatten(),
                fc6=nn.Dense(512 * 7 * 7, WIDTH, activation="relu"),
                drop6=nn.Dropout(p=0.5),
                fc7=nn.Dense(WIDTH, WIDTH, activation="relu"),
            )
        )
        backbone = VGG(network.design, in_channels)
        net = BaseClassifier(backbone, neck, DenseHead(WIDTH, num_classes, keep_prob=0.5))
        architecture = {"arch": name, "num_classes": num_classes, "in_channels": in_channels}
        return finish(net, architecture, pretrained, network.weights)

    return build


# The function `vgg16` of this module.
globals().update(network_functions(NETWORKS, _function))

TORCHVISION = dense_naming("classifier.0", "classifier.3", "classifier.6")


def _recognize(parameters) -> dict:
    stem = parameters.shape(FAMILY.stem)
    if (stem[0], *stem[2:]) != (64, 3, 3):
        return {}
    for name, network in NETWORKS.items():
        # timm's fully connected layers are convolutions, but not of 3x3.
        if parameters.convolutions(3) == sum(network.design):
            return {"arch": name}
    return {}


FAMILY = Family(
    networks=NETWORKS,
    namings={
        "mindres": Naming([]),
        "torchvision": TORCHVISION,  # MindCV's names, too
        "timm": dense_naming("pre_logits.fc1", "pre_logits.fc2", "head.fc"),
    },
    stem="backbone.features.0.weight",
    recognize=_recognize,
    pytorch_naming=lambda architecture: TORCHVISION,
)
