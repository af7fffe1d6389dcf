"""GoogLeNet (arXiv:1409.4842) and Inception v3 (arXiv:1512.00567), with batch normalisation, as in torchvision.

Both have auxiliary classifiers in training. `net(images)` then returns a tuple of the logits and those
of each auxiliary classifier, `net.aux[i]`, in the order in which they branch off; otherwise the logits.
The papers add the auxiliary losses to the loss with `net.aux_weight`.
"""

from __future__ import annotations

from mindspore import nn, ops
from mindspore.nn import SequentialCell
from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead
from mindvision.classification.models.neck import GlobalAvgPooling

from mindres.models.classic import check_size
from mindres.models.pooling import AdaptivePool, AveragePool3x3, CeilMaxPool, check_pad_mode
from mindres.models.resnet import finish
from mindres.weights.publishers import sources

# As TensorFlow's weights are used; torchvision normalises so inside these two networks (`transform_input`).
HALF = {"mean": (0.5, 0.5, 0.5), "std": (0.5, 0.5, 0.5)}
# MindCV's GoogLeNet has no batch normalisation: another network.
WEIGHTS = {
    "googlenet": sources(torchvision=("googlenet-1378be20", 0.69778, HALF)),
    "inception_v3": sources(
        mindcv=("inception_v3/inception_v3-38f67890", 0.7911, {"input_size": 299}),
        torchvision=("inception_v3_google-0cc3c7bd", 0.77294, {**HALF, "input_size": 299}),
        timm=("inception_v3.tf_in1k", 0.77862, {**HALF, "input_size": 299}),
    ),
}


class ConvNorm(nn.Cell):
    """Convolution, batch normalisation, ReLU; `features` as in MindVision's `ConvNormActivation`.

    That one takes square kernels with symmetric padding only, and no `eps`.
    """

    def __init__(self, in_channels, channels, kernel_size=1, stride=1, pad_mode="same", padding=0):
        super().__init__()
        self.features = SequentialCell(
            nn.Conv2d(in_channels, channels, kernel_size, stride, pad_mode, padding),
            nn.BatchNorm2d(channels, eps=0.001),
            nn.ReLU(),
        )

    def construct(self, x):
        return self.features(x)


class Branches(SequentialCell):
    """Gives the same features to each of its cells and joins the channels of what they return."""

    def construct(self, x):
        outputs = ()
        for branch in self.cell_list:
            outputs += (branch(x),)
        return ops.concat(outputs, axis=1)


class AuxiliaryClassifier(BaseClassifier):
    """Backbone, neck and head, with auxiliary classifiers on the way that work in training only.

    Args:
        backbone: has `stages(x)`, which returns the features for each auxiliary classifier and, last, its own.
        neck, head: as in `BaseClassifier`.
        aux: the auxiliary classifiers, cells whose last layer is `dense`.
        aux_weight: the weight of their losses beside that of the head.
    """

    def __init__(self, backbone, neck, head, aux, aux_weight):
        super().__init__(backbone, neck, head)
        self.aux = nn.CellList(aux)
        self.aux_weight = aux_weight

    def construct(self, x):
        stages = self.backbone.stages(x)
        logits = self.head(self.neck(stages[-1]))
        if not self.training or len(self.aux) == 0:
            return logits
        outputs = (logits,)
        for i in range(len(self.aux)):
            outputs += (self.aux[i](stages[i]),)
        return outputs


def inception(in_channels, ones, reduce_threes, threes, reduce_fives, fives, pool):
    """GoogLeNet's module (figure 2b). The "5x5" is a 3x3, as it is in torchvision, whose weights are trained so."""
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


def inception_a(channels, pool):
    """35x35 module (figure 5)."""
    return Branches(
        ConvNorm(channels, 64),
        SequentialCell(ConvNorm(channels, 48), ConvNorm(48, 64, 5)),
        SequentialCell(ConvNorm(channels, 64), ConvNorm(64, 96, 3), ConvNorm(96, 96, 3)),
        SequentialCell(AveragePool3x3(), ConvNorm(channels, pool)),
    )


def inception_b(channels):
    """From 35x35 to 17x17 (figure 10)."""
    return Branches(
        ConvNorm(channels, 384, 3, 2, "valid"),
        SequentialCell(
            ConvNorm(channels, 64), ConvNorm(64, 96, 3), ConvNorm(96, 96, 3, 2, "valid")
        ),
        nn.MaxPool2d(kernel_size=3, stride=2),
    )


def inception_c(channels, middle):
    """17x17 module (figure 6), with n = 7."""
    return Branches(
        ConvNorm(channels, 192),
        SequentialCell(
            ConvNorm(channels, middle),
            ConvNorm(middle, middle, (1, 7)),
            ConvNorm(middle, 192, (7, 1)),
        ),
        SequentialCell(
            ConvNorm(channels, middle),
            ConvNorm(middle, middle, (7, 1)),
            ConvNorm(middle, middle, (1, 7)),
            ConvNorm(middle, middle, (7, 1)),
            ConvNorm(middle, 192, (1, 7)),
        ),
        SequentialCell(AveragePool3x3(), ConvNorm(channels, 192)),
    )


def inception_d(channels):
    """From 17x17 to 8x8 (figure 10)."""
    return Branches(
        SequentialCell(ConvNorm(channels, 192), ConvNorm(192, 320, 3, 2, "valid")),
        SequentialCell(
            ConvNorm(channels, 192),
            ConvNorm(192, 192, (1, 7)),
            ConvNorm(192, 192, (7, 1)),
            ConvNorm(192, 192, 3, 2, "valid"),
        ),
        nn.MaxPool2d(kernel_size=3, stride=2),
    )


def inception_e(channels):
    """8x8 module (figure 7)."""

    def split():
        return Branches(ConvNorm(384, 384, (1, 3)), ConvNorm(384, 384, (3, 1)))

    return Branches(
        ConvNorm(channels, 320),
        SequentialCell(ConvNorm(channels, 384), split()),
        SequentialCell(ConvNorm(channels, 448), ConvNorm(448, 384, 3), split()),
        SequentialCell(AveragePool3x3(), ConvNorm(channels, 192)),
    )


class InceptionV3(nn.Cell):
    """The backbone: (N, in_channels, 299, 299) images to (N, 2048, 8, 8) features; 75x75 at least.

    Args:
        in_channels: channels of the images.
        pad_mode: how the average-pooling pads, see `AveragePool3x3`.
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
        """Pool with `pad_mode`, "same" or "pad", from now on."""
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
    """Auxiliary classifier: (N, 768, H, W) features to (N, num_classes) logits; 17x17 features at 299x299."""

    def __init__(self, num_classes):
        super().__init__()
        self.pool = nn.AvgPool2d(kernel_size=5, stride=3)
        self.small_pool = AdaptivePool(5)
        self.conv0 = ConvNorm(768, 128)
        self.conv1 = ConvNorm(128, 768, 5, 1, "valid")
        self.mean = GlobalAvgPooling()
        self.dense = nn.Dense(768, num_classes)

    def construct(self, x):
        # The 5x5 convolution needs 5x5 features, which images below 299x299 would not leave it.
        x = self.pool(x) if min(x.shape[2:]) >= 17 else self.small_pool(x)
        return self.dense(self.mean(self.conv1(self.conv0(x))))


def googlenet(num_classes=1000, pretrained=False, in_channels=3, aux_logits=True):
    """GoogLeNet: 13,004,888 parameters at 1000 classes, 6,624,904 of them without the auxiliary classifiers.

    Takes normalised float images (N, in_channels, H, W) of any size from 32 up, 224 by default, and
    returns logits (N, num_classes); in training, a tuple of these and of two auxiliary ones.

    Args:
        num_classes: width of the classifiers.
        pretrained: False; True for published weights, or the name of their publisher (see `WEIGHTS`; torchvision's
            take PyTorch to be read); or a path or URL, see `load_weights`. Classifiers of another width start afresh.
        in_channels: channels of the images.
        aux_logits: False leaves the auxiliary classifiers out.

    Raises:
        UserError: the weights cannot be had, are damaged, or belong to another network.
    """
    aux = [GoogLeNetAux(512, num_classes), GoogLeNetAux(528, num_classes)] if aux_logits else []
    net = AuxiliaryClassifier(
        GoogLeNet(in_channels),
        GlobalAvgPooling(),
        DenseHead(1024, num_classes, keep_prob=0.8),
        aux,
        aux_weight=0.3,
    )
    return finish(
        net,
        {
            "arch": "googlenet",
            "num_classes": num_classes,
            "in_channels": in_channels,
            "aux_logits": aux_logits,
        },
        pretrained,
        WEIGHTS["googlenet"],
    )


def inception_v3(
    num_classes=1000, pretrained=False, in_channels=3, aux_logits=True, pad_mode="pad"
):
    """Inception v3: 27,161,264 parameters at 1000 classes, 23,834,568 of them without the auxiliary classifier.

    Takes normalised float images (N, in_channels, H, W) of any size from 75 up, 299 by default, and
    returns logits (N, num_classes); in training, a tuple of these and of the auxiliary ones.

    Args:
        num_classes, pretrained, in_channels, aux_logits: as for `googlenet`.
        pad_mode: how the average-pooling pads: "pad" as torchvision's weights have it, "same" as MindCV's.

    Raises:
        UserError: the weights cannot be had, are damaged, or belong to another network; no such `pad_mode`.
    """
    aux = [InceptionV3Aux(num_classes)] if aux_logits else []
    net = AuxiliaryClassifier(
        InceptionV3(in_channels, pad_mode),
        GlobalAvgPooling(),
        DenseHead(2048, num_classes, keep_prob=0.5),
        aux,
        aux_weight=0.4,
    )
    return finish(
        net,
        {
            "arch": "inception_v3",
            "num_classes": num_classes,
            "in_channels": in_channels,
            "aux_logits": aux_logits,
            "pad_mode": pad_mode,
        },
        pretrained,
        WEIGHTS["inception_v3"],
    )
