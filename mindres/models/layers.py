"""Layers that several families of networks use."""

from __future__ import annotations

from mindspore import nn, ops
from mindvision.classification.models.classifiers import BaseClassifier

from mindres.errors import UserError
from mindres.weights.naming import Naming


@ops.constexpr(check=False)  # an exported network's batch size is not constant
def check_size(shape, least, most=None):
    """Refuse images of a size that a network cannot take, while it is compiled.

    Args:
        shape: shape of the images, (N, C, H, W).
        least: smallest size of the shorter side in pixels.
        most: largest size of the longer side in pixels, or None.

    Raises:
        UserError: the images are too small or too large.
    """
    height, width = shape[2:]
    if min(height, width) < least or (most and max(height, width) > most):
        wanted = f"{least}x{least}" if most == least else f"at least {least}x{least}"
        raise UserError(
            f"this network takes images of {wanted} pixels, not {height}x{width}: resize them"
        )


@ops.constexpr(check=False)
def check_channels(shape, taken):
    """Refuse images (N, C, H, W) with a number of channels other than `taken`.

    Raises:
        UserError: the number is another.
    """
    if shape[1] != taken:
        raise UserError(
            f"the images have {shape[1]} channels and the network takes {taken}: build the network "
            f"with `in_channels={shape[1]}` or the data set with `channels={taken}`"
        )


class TwoConvolutions(nn.Cell):
    """A backbone of two convolutions, each followed by ReLU and 2x2 max-pooling.

    Takes images (N, in_channels, side, side), with the `side` of the subclass. `channels` has the
    number of channels after each convolution.
    """

    side: int

    @property
    def sides(self) -> tuple[int, int]:
        """The smallest and the largest side of images in pixels."""
        return self.side, self.side

    def __init__(self, in_channels, channels, kernel_size, pad_mode):
        super().__init__()
        first, second = channels
        options = {"kernel_size": kernel_size, "pad_mode": pad_mode, "has_bias": True}
        self.conv1 = nn.Conv2d(in_channels, first, **options)
        self.conv2 = nn.Conv2d(first, second, **options)
        self.relu = nn.ReLU()
        self.max_pool = nn.MaxPool2d(kernel_size=2, stride=2)

    def construct(self, x):
        check_size(x.shape, self.side, self.side)
        x = self.max_pool(self.relu(self.conv1(x)))
        return self.max_pool(self.relu(self.conv2(x)))


class ConvNorm(nn.Cell):
    """Convolution, batch normalisation and ReLU, as MindVision's `ConvNormActivation`.

    MindVision's allows only square kernels with symmetric padding, and has no `eps`.
    """

    def __init__(self, in_channels, channels, kernel_size=1, stride=1, pad_mode="same", padding=0):
        super().__init__()
        self.features = nn.SequentialCell(
            nn.Conv2d(in_channels, channels, kernel_size, stride, pad_mode, padding),
            nn.BatchNorm2d(channels, eps=0.001),
            nn.ReLU(),
        )

    def construct(self, x):
        return self.features(x)


class Branches(nn.SequentialCell):
    """Calls each of its cells with the same features and concatenates the channels they return."""

    def construct(self, x):
        outputs = ()
        for branch in self.cell_list:
            outputs += (branch(x),)
        return ops.concat(outputs, axis=1)


class AuxiliaryClassifier(BaseClassifier):
    """Backbone, neck and head, with auxiliary classifiers that are used in training only.

    In training `net(images)` returns a tuple: the logits, and those of each auxiliary classifier in
    the order in which they branch off. In inference it returns the logits.

    Args:
        backbone: a cell with `stages(x)`, which returns the features for each auxiliary classifier
            and, last, its output.
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


def conv(in_channels, channels, kernel_size, stride=1, padding=0):
    """A convolution with bias, padded by `padding` on all four sides."""
    return nn.Conv2d(
        in_channels, channels, kernel_size, stride, pad_mode="pad", padding=padding, has_bias=True
    )


def dense_naming(fc6, fc7, fc8) -> Naming:
    """A PyTorch naming of a network with fully connected layers `fc6`, `fc7` and `fc8`."""
    rules = [
        (r"^backbone\.", ""),
        (r"^neck\.fc6\.", f"{fc6}."),
        (r"^neck\.fc7\.", f"{fc7}."),
        (r"^head\.dense\.", f"{fc8}."),
    ]
    return Naming(rules, torch=True)


# Rules of a PyTorch naming for the parts of a `ConvNorm`.
CONV_NORM = [(r"\.features\.0\.", ".conv."), (r"\.features\.1\.", ".bn.")]
