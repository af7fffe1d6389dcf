"""ResNet-20 to ResNet-110 for 32x32 images.

Source: He et al., "Deep Residual Learning", arXiv:1512.03385, section 4.2.

One 3x3 convolution and three stages of 16, 32 and 64 channels, each of n two-layer blocks: 6n + 2
layers. Where a stage changes the shape, the shortcut either pads ("A", without parameters, the
paper's choice for CIFAR-10) or projects ("B", a 1x1 convolution with batch normalisation).
"""

from __future__ import annotations

from mindspore import nn, ops
from mindvision.classification.models.blocks import ConvNormActivation
from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead
from mindvision.classification.models.neck import GlobalAvgPooling

from mindres.errors import UserError
from mindres.models.build import finish
from mindres.models.registry import Family, Network, network_functions
from mindres.models.residual_blocks import ResidualBlockBase, make_layer, residual_naming
from mindres.weights.naming import Naming
from mindres.weights.publishers import CIFAR10_STANDARDISED, sources


class PadShortcut(nn.Cell):
    """Shortcut A: every `stride`-th pixel, with half of the missing channels as zeros on each side.

    Shapes: (N, in_channel, H, W) to (N, out_channel, H / stride, W / stride), rounded up.
    """

    def __init__(self, in_channel, out_channel, stride):
        super().__init__()
        # About twice as fast on CPU as x[:, :, ::stride, ::stride] and a padding operator.
        self.subsample = nn.MaxPool2d(kernel_size=1, stride=stride)
        self.added = (out_channel - in_channel) // 2

    def construct(self, x):
        x = self.subsample(x)
        batch, _, height, width = x.shape
        zeros = ops.zeros((batch, self.added, height, width), x.dtype)
        return ops.concat((zeros, x, zeros), axis=1)


class CifarResNet(nn.Cell):
    """The backbone: (N, in_channels, H, W) images to (N, 64, H / 4, W / 4) features.

    Args:
        block_nums: n, the number of blocks in each of the three stages.
        shortcut: "A" pads, "B" projects.
        in_channels: channels of the images.
    """

    # The cells that `construct` calls, in order; native/replacements.py uses the names.
    sequence = ("conv1", "layer1", "layer2", "layer3")

    def __init__(self, block_nums, shortcut="B", in_channels=3):
        super().__init__()
        if shortcut not in ("A", "B"):
            raise UserError(f"unknown shortcut {shortcut!r}: choose A (pads) or B (projects)")
        self.conv1 = ConvNormActivation(in_channels, 16, kernel_size=3)
        self.layer1 = make_layer(16, ResidualBlockBase, 16, block_nums)
        self.layer2 = _stage(16, 32, block_nums, shortcut)
        self.layer3 = _stage(32, 64, block_nums, shortcut)

    def construct(self, x):
        return self.layer3(self.layer2(self.layer1(self.conv1(x))))


def _stage(in_channel, channel, block_nums, shortcut):
    if shortcut == "B":
        return make_layer(in_channel, ResidualBlockBase, channel, block_nums, stride=2)
    first = ResidualBlockBase(
        in_channel, channel, stride=2, down_sample=PadShortcut(in_channel, channel, 2)
    )
    return nn.SequentialCell(
        [first] + [ResidualBlockBase(channel, channel) for _ in range(1, block_nums)]
    )


# The shortcut of each publisher's weights, which are all trained on CIFAR-10.
SHORTCUTS = {"akamaster": "A", "chenyaofo": "B", "mindres": "B"}


def variant(depth, parameters, multiply_adds, **files) -> Network:
    """A row: number of layers, the sizes with shortcut B at 10 classes, published weights."""
    return Network(
        input_shape=(3, 32, 32),
        parameters=parameters,
        multiply_adds=multiply_adds,
        weights=sources(**files),
        design=depth,
    )


# Layers, parameters, multiply-adds; then for each publisher its file and its top-1 accuracy.
# fmt: off
NETWORKS = {
    "resnet20": variant(
        20, 272_474, 40_813_184,
        chenyaofo=("cifar10_resnet20-4118986f", 0.926), akamaster=("resnet20-12fca82f", 0.9173),
        mindres=("resnet20_cifar10-ccaffa27", 0.8434, CIFAR10_STANDARDISED),
    ),
    "resnet32": variant(
        32, 466_906, 69_124_736,
        chenyaofo=("cifar10_resnet32-ef93fc4d", 0.9353), akamaster=("resnet32-d509ac18", 0.9263),
    ),
    "resnet44": variant(
        44, 661_338, 97_436_288,
        chenyaofo=("cifar10_resnet44-2a3cabcb", 0.9401), akamaster=("resnet44-014dd654", 0.931),
    ),
    "resnet56": variant(
        56, 855_770, 125_747_840,
        chenyaofo=("cifar10_resnet56-187c023a", 0.9437), akamaster=("resnet56-4bfd9763", 0.9339),
    ),
    "resnet110": variant(
        110, 1_730_714, 253_149_824,
        akamaster=("resnet110-1d1ed7c2", 0.9368),
    ),
}
# fmt: on


def _function(name, network):
    def build(num_classes=10, shortcut="B", pretrained=False, in_channels=3):
        """These sizes are for shortcut B. With shortcut A there are 2,752 parameters fewer.

        Some sources count 16 more: biases of the first convolution, which the batch normalisation
        after it cancels.

        Takes normalised float images (N, in_channels, H, W) of any size, 32 by default, and returns
        logits (N, num_classes).

        Args:
            num_classes: number of classes.
            shortcut: "A" pads, "B" projects, where a stage changes the shape.
            pretrained: False; True for published CIFAR-10 weights, "akamaster"'s for shortcut A and
                "chenyaofo"'s for B, which need PyTorch to be read; "mindres" for ResNet-20's in the
                package, with B; or a path or URL, see `load_weights`. A classifier of another width
                is initialised at random.
            in_channels: channels of the images.

        Raises:
            UserError: no such shortcut; or the weights cannot be found, are damaged, or belong to
                another network.
        """
        backbone = CifarResNet((network.design - 2) // 6, shortcut, in_channels)
        architecture = {
            "arch": name,
            "num_classes": num_classes,
            "shortcut": shortcut,
            "in_channels": in_channels,
        }
        weights = {
            publisher: source
            for publisher, source in network.weights.items()
            if SHORTCUTS.get(publisher, shortcut) == shortcut
        }
        net = BaseClassifier(backbone, GlobalAvgPooling(), DenseHead(64, num_classes))
        return finish(net, architecture, pretrained, weights)

    return build


# The functions `resnet20`, `resnet32`, ... of this module.
globals().update(network_functions(NETWORKS, _function))

CHENYAOFO = residual_naming("downsample", "fc", torch=True)
AKAMASTER = residual_naming("shortcut", "linear", torch=True)


def _recognize(parameters) -> dict:
    depths = parameters.stage_depths()
    if len(depths) != 3 or parameters.shape(FAMILY.stem)[0] != 16:
        return {}
    projects = parameters.has("downsample|down_sample|shortcut")
    for name, network in NETWORKS.items():
        if depths == 3 * ((network.design - 2) // 6,):
            return {"arch": name, "shortcut": "B" if projects else "A"}
    return {}


def _pytorch_naming(architecture) -> Naming:
    return AKAMASTER if architecture.get("shortcut") == "A" else CHENYAOFO


FAMILY = Family(
    networks=NETWORKS,
    namings={"mindres": Naming([]), "chenyaofo": CHENYAOFO, "akamaster": AKAMASTER},
    stem="backbone.conv1.features.0.weight",
    recognize=_recognize,
    pytorch_naming=_pytorch_naming,
)
