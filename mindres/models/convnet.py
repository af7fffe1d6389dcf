"""A ConvNet for MNIST: two 3x3 convolutions, each with 2x2 max-pooling, and one dense layer."""

from __future__ import annotations

from mindspore import nn
from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead

from mindres.models.build import finish
from mindres.models.layers import TwoConvolutions
from mindres.models.registry import Family, Network, documented
from mindres.weights.naming import Naming
from mindres.weights.publishers import MNIST, sources

NETWORKS = {
    "convnet": Network(
        input_shape=(1, 28, 28),
        parameters=9_098,
        multiply_adds=290_080,
        weights=sources(mindres=("convnet_mnist-47df19b6", 0.9906, {**MNIST, "input_size": 28})),
    ),
}


class ConvNet(TwoConvolutions):
    """The backbone: (N, in_channels, 28, 28) images to (N, 16, 7, 7) features."""

    side = 28

    def __init__(self, in_channels=1):
        super().__init__(in_channels, (8, 16), kernel_size=3, pad_mode="same")


@documented(NETWORKS["convnet"], "convnet")
def convnet(num_classes=10, pretrained=False, in_channels=1):
    """Takes normalised float images (N, in_channels, 28, 28), no other size, and returns logits
    (N, num_classes).

    Args:
        num_classes: number of classes.
        pretrained: False; "mindres" for weights in the package, trained on MNIST; or a path or URL,
            see `load_weights`. A classifier of another width is initialised at random.
        in_channels: channels of the images.

    Raises:
        UserError: the weights cannot be found, are damaged, or belong to another network.
    """
    net = BaseClassifier(ConvNet(in_channels), nn.Flatten(), DenseHead(784, num_classes))
    architecture = {"arch": "convnet", "num_classes": num_classes, "in_channels": in_channels}
    return finish(net, architecture, pretrained, NETWORKS["convnet"].weights)


PYTORCH = Naming([(r"^backbone\.conv", "conv_"), (r"^head\.dense\.", "linear_1.")], torch=True)


def _recognize(parameters) -> dict:
    stem = parameters.shape(FAMILY.stem)
    small = parameters.convolutions(3) == 2
    return {"arch": "convnet"} if small and (stem[0], *stem[2:]) == (8, 3, 3) else {}


FAMILY = Family(
    networks=NETWORKS,
    namings={"mindres": Naming([]), "torch": PYTORCH},
    stem="backbone.conv1.weight",
    recognize=_recognize,
    pytorch_naming=lambda architecture: PYTORCH,
)
