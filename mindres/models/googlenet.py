"""GoogLeNet (Szegedy et al., arXiv:1409.4842) with batch normalisation, as in torchvision."""

from __future__ import annotations

from mindspore import nn
from mindspore.nn import SequentialCell
from mindvision.classification.models.head import DenseHead
from mindvision.classification.models.neck import GlobalAvgPooling

from mindres.models.build import finish
from mindres.models.layers import CONV_NORM, AuxiliaryClassifier, Branches, ConvNorm
from mindres.models.pooling import AdaptivePool, CeilMaxPool
from mindres.models.registry import Family, Network, documented
from mindres.weights.naming import Naming
from mindres.weights.publishers import sources

# The normalisation of TensorFlow's weights, which torchvision does in `transform_input`.
HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
NETWORKS = {
    "googlenet": Network(
        input_shape=(3, 224, 224),
        parameters=13_004_888,
        multiply_adds=1_498_376_192,
        weights=sources(torchvision=("googlenet-1378be20", 0.69778, HALF)),
    ),
}


def inception(in_channels, ones, reduce_threes, threes, reduce_fives, fives, pool):
    """GoogLeNet's module (figure 2b). Its 5x5 convolution is a 3x3, as in torchvision."""
    return Branches(
        ConvNorm(in_channels, ones),
        SequentialCell(ConvNorm(in_channels, reduce_threes), ConvNorm(reduce_threes, threes, 3)),
        SequentialCell(ConvNorm(in_channels, reduce_fives), ConvNorm(reduce_fives, fives, 3)),
        SequentialCell(nn.MaxPool2d(3, 1, pad_mode="same"), ConvNorm(in_channels, pool)),
    )


class GoogLeNet(nn.Cell):
    """The backbone: (N, in_channels, H, W) images to (N, 1024, H / 32, W / 32) features."""

    def __init__(self, in_channels=3):
        super().__init__()
        self.conv1 = ConvNorm(in_channels, 64, 7, 2, "pad", 3)
        self.conv2 = ConvNorm(64, 64)
        self.conv3 = ConvNorm(64, 192, 3)
        self.inception3a = inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = inception(256, 128, 128, 192, 32, 96, 64)
        self.inception4a = inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = inception(528, 256, 160, 320, 32, 128, 128)
        self.inception5a = inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = inception(832, 384, 192, 384, 48, 128, 128)
        self.max_pool = CeilMaxPool()
        self.max_pool4 = nn.MaxPool2d(kernel_size=2, stride=2, pad_mode="same")

    def stages(self, x):
        """The features of stages 4a and 4d, for the auxiliary classifiers, and those of 5b."""
        x = self.max_pool(self.conv1(x))
        x = self.max_pool(self.conv3(self.conv2(x)))
        x = self.max_pool(self.inception3b(self.inception3a(x)))
        first = self.inception4a(x)
        second = self.inception4d(self.inception4c(self.inception4b(first)))
        x = self.max_pool4(self.inception4e(second))
        return first, second, self.inception5b(self.inception5a(x))

    def construct(self, x):
        return self.stages(x)[-1]


class GoogLeNetAux(nn.Cell):
    """Auxiliary classifier: (N, in_channels, H, W) features to (N, num_classes) logits."""

    def __init__(self, in_channels, num_classes):
        super().__init__()
        self.pool = AdaptivePool(4)
        self.conv = ConvNorm(in_channels, 128)
        self.flatten = nn.Flatten()
        self.fc = nn.Dense(2048, 1024, activation="relu")
        self.dropout = nn.Dropout(p=0.7)
        self.dense = nn.Dense(1024, num_classes)

    def construct(self, x):
        return self.dense(self.dropout(self.fc(self.flatten(self.conv(self.pool(x))))))


@documented(NETWORKS["googlenet"], "googlenet")
def googlenet(num_classes=1000, pretrained=False, in_channels=3, aux_logits=True):
    """These sizes include both auxiliary classifiers. Without them there are 6,624,904 parameters.

    Takes normalised float images (N, in_channels, H, W) of any size from 32 up, 224 by default, and
    returns logits (N, num_classes); in training, a tuple of these and of two auxiliary ones.

    Args:
        num_classes: number of classes.
        pretrained: False; True or "torchvision" for its ImageNet weights, which need PyTorch to be
            read; or a path or URL, see `load_weights`. Classifiers of another width are initialised
            at random.
        in_channels: channels of the images.
        aux_logits: False leaves the auxiliary classifiers out.

    Raises:
        UserError: the weights cannot be found, are damaged, or belong to another network.
    """
    aux = []
    if aux_logits:
        aux = [GoogLeNetAux(512, num_classes), GoogLeNetAux(528, num_classes)]
    backbone = GoogLeNet(in_channels)
    head = DenseHead(1024, num_classes, keep_prob=0.8)
    net = AuxiliaryClassifier(backbone, GlobalAvgPooling(), head, aux, aux_weight=0.3)
    architecture = {
        "arch": "googlenet",
        "num_classes": num_classes,
        "in_channels": in_channels,
        "aux_logits": aux_logits,
    }
    return finish(net, architecture, pretrained, NETWORKS["googlenet"].weights)


RULES = [
    (r"^backbone\.(inception\w+)\.0\.features\.", r"\1.branch1.features."),
    (r"^backbone\.(inception\w+)\.1\.(\d)\.features\.", r"\1.branch2.\2.features."),
    (r"^backbone\.(inception\w+)\.2\.(\d)\.features\.", r"\1.branch3.\2.features."),
    (r"^backbone\.(inception\w+)\.3\.1\.features\.", r"\1.branch4.1.features."),
    (r"^backbone\.", ""),
    (r"^aux\.0\.", "aux1."),
    (r"^aux\.1\.", "aux2."),
    (r"^(aux\d)\.fc\.", r"\1.fc1."),
    (r"^(aux\d)\.dense\.", r"\1.fc2."),
    (r"^head\.dense\.", "fc."),
    *CONV_NORM,
]
TORCHVISION = Naming(RULES, torch=True)


def _recognize(parameters) -> dict:
    if not parameters.has("inception3a"):
        return {}
    return {"arch": "googlenet", "aux_logits": parameters.has("^aux")}


FAMILY = Family(
    networks=NETWORKS,
    namings={"mindres": Naming([]), "torchvision": TORCHVISION},
    stem="backbone.conv1.features.0.weight",
    recognize=_recognize,
    pytorch_naming=lambda architecture: TORCHVISION,
    lookalikes={
        r"^inception3a\.b\d\.": "MindCV's GoogLeNet, which has no batch normalisation (6,991,272 "
        "parameters): another network than this one, which takes torchvision's weights"
    },
)
