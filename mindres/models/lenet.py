"""LeNet-5 (LeCun et al., 1998), with max-pooling and ReLU."""

from __future__ import annotations

from collections import OrderedDict

from mindspore import nn
from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead

from mindres.models.build import finish
from mindres.models.layers import TwoConvolutions
from mindres.models.registry import Family, Network, documented
from mindres.weights.naming import Naming
from mindres.weights.publishers import MNIST, sources

NETWORKS = {
    "lenet5": Network(
        input_shape=(1, 32, 32),
        parameters=61_706,
        multiply_adds=416_520,
        weights=sources(
            mindvision=("lenet_mnist", 0.98768, MNIST),
            mindres=("lenet5_mnist-ea1da0f7", 0.9939, MNIST),
        ),
    ),
}


class LeNet5(TwoConvolutions):
    """The backbone: (N, in_channels, 32, 32) images to (N, 16, 5, 5) features."""

    side = 32

    def __init__(self, in_channels=1):
        super().__init__(in_channels, (6, 16), kernel_size=5, pad_mode="valid")


@documented(NETWORKS["lenet5"], "lenet5")
def lenet5(num_classes=10, pretrained=False, in_channels=1):
    """Takes normalised float images (N, in_channels, 32, 32), no other size, and returns logits
    (N, num_classes).

    Args:
        num_classes: number of classes.
        pretrained: False; True or "mindvision", or "mindres" for those in the package, for weights
            trained on MNIST; or a path or URL, see `load_weights`. A classifier of another width is
            initialised at random.
        in_channels: channels of the images.

    Raises:
        UserError: the weights cannot be found, are damaged, or belong to another network.
    """
    neck = nn.SequentialCell(
        OrderedDict(
            flatten=nn.Flatten(),
            fc1=nn.Dense(400, 120, activation="relu"),
            fc2=nn.Dense(120, 84, activation="relu"),
        )
    )
    net = BaseClassifier(LeNet5(in_channels), neck, DenseHead(84, num_classes))
    architecture = {"arch": "lenet5", "num_classes": num_classes, "in_channels": in_channels}
    return finish(net, architecture, pretrained, NETWORKS["lenet5"].weights)


PYTORCH = Naming([(r"^(backbone|neck)\.", ""), (r"^head\.dense\.", "fc3.")], torch=True)


def _recognize(parameters) -> dict:
    stem = parameters.shape(FAMILY.stem)
    return {"arch": "lenet5"} if (stem[0], *stem[2:]) == (6, 5, 5) else {}


FAMILY = Family(
    networks=NETWORKS,
    namings={
        "mindres": Naming([]),
        "torch": PYTORCH,
        "mindvision": Naming([(r"^neck\.", "backbone."), (r"^head\.dense\.", "backbone.fc3.")]),
    },
    stem="backbone.conv1.weight",
    recognize=_recognize,
    pytorch_naming=lambda architecture: PYTORCH,
)
