"""AlexNet with a single tower (Krizhevsky, arXiv:1404.5997), with torchvision's layers."""

from __future__ import annotations

from collections import OrderedDict

from mindspore import nn
from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead

from mindres.models.build import finish
from mindres.models.layers import check_size, conv, dense_naming
from mindres.models.pooling import AdaptivePool
from mindres.models.registry import Family, Network, documented
from mindres.weights.naming import Naming
from mindres.weights.publishers import sources

# The width of both hidden layers of the classifier.
WIDTH = 4096

NETWORKS = {
    "alexnet": Network(
        input_shape=(3, 224, 224),
        parameters=61_100_840,
        multiply_adds=714_188_480,
        weights=sources(torchvision=("alexnet-owt-7be5be79", 0.56522)),
    ),
}


class AlexNet(nn.Cell):
    """The backbone: (N, in_channels, 224, 224) images to (N, 256, 6, 6); 63x63 at least."""

    sides = (63,)

    def __init__(self, in_channels=3):
        super().__init__()
        self.features = nn.SequentialCell(
            conv(in_channels, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            conv(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
            conv(192, 384, 3, padding=1),
            nn.ReLU(),
            conv(384, 256, 3, padding=1),
            nn.ReLU(),
            conv(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2),
        )

    def construct(self, x):
        # MindSpore would silently take a 3x3 maximum of a single pixel.
        check_size(x.shape, *self.sides)
        return self.features(x)


@documented(NETWORKS["alexnet"], "alexnet")
def alexnet(num_classes=1000, pretrained=False, in_channels=3):
    """Takes normalised float images (N, in_channels, H, W) of any size from 63 up, 224 by default,
    and returns logits (N, num_classes).

    Args:
        num_classes: number of classes.
        pretrained: False; True or "torchvision" for its ImageNet weights, which need PyTorch to be
            read; or a path or URL, see `load_weights`. A classifier of another width is initialised
            at random.
        in_channels: channels of the images.

    Raises:
        UserError: the weights cannot be found, are damaged, or belong to another network.
    """
    neck = nn.SequentialCell(
        OrderedDict(
            pool=AdaptivePool(6),
            flatten=nn.Flatten(),
            drop6=nn.Dropout(p=0.5),
            fc6=nn.Dense(256 * 6 * 6, WIDTH, activation="relu"),
            drop7=nn.Dropout(p=0.5),
            fc7=nn.Dense(WIDTH, WIDTH, activation="relu"),
        )
    )
    net = BaseClassifier(AlexNet(in_channels), neck, DenseHead(WIDTH, num_classes))
    architecture = {"arch": "alexnet", "num_classes": num_classes, "in_channels": in_channels}
    return finish(net, architecture, pretrained, NETWORKS["alexnet"].weights)


TORCHVISION = dense_naming("classifier.1", "classifier.4", "classifier.6")


def _recognize(parameters) -> dict:
    stem = parameters.shape(FAMILY.stem)
    return {"arch": "alexnet"} if (stem[0], *stem[2:]) == (64, 11, 11) else {}


FAMILY = Family(
    networks=NETWORKS,
    namings={"mindres": Naming([]), "torchvision": TORCHVISION},
    stem="backbone.features.0.weight",
    recognize=_recognize,
    pytorch_naming=lambda architecture: TORCHVISION,
)
