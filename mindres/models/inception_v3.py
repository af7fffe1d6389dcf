"""Inception v3 (Szegedy et al., arXiv:1512.00567), as in torchvision."""

from __future__ import annotations

from mindspore import nn
from mindvision.classification.models.head import DenseHead
from mindvision.classification.models.neck import GlobalAvgPooling

from mindres.models.build import finish
from mindres.models.inception_modules import (
    inception_a,
    inception_b,
    inception_c,
    inception_d,
    inception_e,
)
from mindres.models.inception_naming import MINDCV, TORCHVISION
from mindres.models.layers import AuxiliaryClassifier, ConvNorm, check_size
from mindres.models.pooling import AdaptivePool, AveragePool3x3, check_pad_mode
from mindres.models.registry import Family, Network, documented
from mindres.weights.naming import Naming
from mindres.weights.publishers import sources

# The normalisation of TensorFlow's weights, which torchvision does in `transform_input`.
HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
NETWORKS = {
    "inception_v3": Network(
        input_shape=(3, 299, 299),
        parameters=27_161_264,
        multiply_adds=5_713_216_096,
        weights=sources(
            mindcv=("inception_v3/inception_v3-38f67890", 0.7911, {"input_size": 299}),
            torchvision=("inception_v3_google-0cc3c7bd", 0.77294, {**HALF, "input_size": 299}),
            timm=("inception_v3.tf_in1k", 0.77862, {**HALF, "input_size": 299}),
        ),
    ),
}


class InceptionV3(nn.Cell):
    """The backbone: (N, in_channels, 299, 299) images to (N, 2048, 8, 8) features; 75x75 at least.

    Args:
        in_channels: channels of the images.
        pad_mode: padding of the average-pooling, see `AveragePool3x3`.
    """

    sides = (75,)

    def __init__(self, in_channels=3, pad_mode="pad"):
        super().__init__()
        self.conv1a = ConvNorm(in_channels, 32, 3, 2, "valid")
        self.conv2a = ConvNorm(32, 32, 3, 1, "valid")
        self.conv2b = ConvNorm(32, 64, 3)
        self.conv3b = ConvNorm(64, 80)
        self.conv4a = ConvNorm(80, 192, 3, 1, "valid")
        self.mixed5b = inception_a(192, 32)
        self.mixed5c = inception_a(256, 64)
        self.mixed5d = inception_a(288, 64)
        self.mixed6a = inception_b(288)
        self.mixed6b = inception_c(768, 128)
        self.mixed6c = inception_c(768, 160)
        self.mixed6d = inception_c(768, 160)
        self.mixed6e = inception_c(768, 192)
        self.mixed7a = inception_d(768)
        self.mixed7b = inception_e(1280)
        self.mixed7c = inception_e(2048)
        self.max_pool = nn.MaxPool2d(kernel_size=3, stride=2)
        self.set_pad_mode(pad_mode)

    def set_pad_mode(self, pad_mode):
        """Set the padding of the average-pooling, "same" or "pad"."""
        check_pad_mode(pad_mode)
        for _, cell in self.cells_and_names():
            if isinstance(cell, AveragePool3x3):
                cell.pad_mode = pad_mode

    def stages(self, x):
        """The features of stage 6e, for the auxiliary classifier, and those of 7c."""
        check_size(x.shape, *self.sides)
        x = self.max_pool(self.conv2b(self.conv2a(self.conv1a(x))))
        x = self.max_pool(self.conv4a(self.conv3b(x)))
        x = self.mixed5d(self.mixed5c(self.mixed5b(x)))
        x = self.mixed6e(self.mixed6d(self.mixed6c(self.mixed6b(self.mixed6a(x)))))
        return x, self.mixed7c(self.mixed7b(self.mixed7a(x)))

    def construct(self, x):
        return self.stages(x)[-1]


class InceptionV3Aux(nn.Cell):
    """Auxiliary classifier: (N, 768, H, W) features to (N, num_classes) logits.

    The features are 17x17 for images of 299x299.
    """

    def __init__(self, num_classes):
        super().__init__()
        self.pool = nn.AvgPool2d(kernel_size=5, stride=3)
        self.small_pool = AdaptivePool(5)
        self.conv0 = ConvNorm(768, 128)
        self.conv1 = ConvNorm(128, 768, 5, 1, "valid")
        self.mean = GlobalAvgPooling()
        self.dense = nn.Dense(768, num_classes)

    def construct(self, x):
        # Images below 299x299 would leave less than the 5x5 features of the 5x5 convolution.
        x = self.pool(x) if min(x.shape[2:]) >= 17 else self.small_pool(x)
        return self.dense(self.mean(self.conv1(self.conv0(x))))


@documented(NETWORKS["inception_v3"], "inception_v3")
def inception_v3(
    num_classes=1000, pretrained=False, in_channels=3, aux_logits=True, pad_mode="pad"
):
    """These sizes include the auxiliary classifier. Without it there are 23,834,568 parameters.

    Takes normalised float images (N, in_channels, H, W) of any size from 75 up, 299 by default, and
    returns logits (N, num_classes); in training, a tuple of these and of the auxiliary ones.

    Args:
        num_classes: number of classes.
        pretrained: False; the name of a publisher, or True for the first of those above, for
            ImageNet weights; or a path or URL, see `load_weights`. Classifiers of another width are
            initialised at random.
        in_channels: channels of the images.
        aux_logits: False leaves the auxiliary classifier out.
        pad_mode: padding of the average-pooling: "pad" for torchvision's weights, "same" for
            MindCV's.

    Raises:
        UserError: the weights cannot be found, are damaged, or belong to another network; or
            `pad_mode` is unknown.
    """
    aux = [InceptionV3Aux(num_classes)] if aux_logits else []
    backbone = InceptionV3(in_channels, pad_mode)
    head = DenseHead(2048, num_classes, keep_prob=0.5)
    net = AuxiliaryClassifier(backbone, GlobalAvgPooling(), head, aux, aux_weight=0.4)
    architecture = {
        "arch": "inception_v3",
        "num_classes": num_classes,
        "in_channels": in_channels,
        "aux_logits": aux_logits,
        "pad_mode": pad_mode,
    }
    return finish(net, architecture, pretrained, NETWORKS["inception_v3"].weights)


def _recognize(parameters) -> dict:
    if not parameters.has("[Mm]ixed_?5b|inception5b"):
        return {}
    return {"arch": "inception_v3", "aux_logits": parameters.has("^[Aa]ux")}


FAMILY = Family(
    networks=NETWORKS,
    namings={
        "mindres": Naming([], pad_mode="pad"),
        "torchvision": TORCHVISION,
        "mindcv": MINDCV,
    },
    stem="backbone.conv1a.features.0.weight",
    recognize=_recognize,
    pytorch_naming=lambda architecture: TORCHVISION,
)
