"""ResNet-18 to ResNet-152, wide ResNets and ResNeXts for images.

Sources: He et al., "Deep Residual Learning" (arXiv:1512.03385, section 4.1); Zagoruyko and
Komodakis, "Wide Residual Networks" (arXiv:1605.07146); Xie et al., "Aggregated Residual
Transformations" (arXiv:1611.05431).

The names are those of MindSpore's ResNet-50 tutorial, and so are the parameter names, which are the
checkpoint format: `backbone.conv1.features.0.weight`, `head.dense.bias`,
`backbone.layer1.0.down_sample.features.1.gamma`.
"""

from __future__ import annotations

from dataclasses import dataclass

from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead
from mindvision.classification.models.neck import GlobalAvgPooling

from mindres.models.build import finish
from mindres.models.registry import Family, Network, network_functions
from mindres.models.residual_blocks import ResidualBlock, ResidualBlockBase, residual_naming
from mindres.models.resnet_backbone import ResNet
from mindres.weights.naming import Naming
from mindres.weights.publishers import sources


@dataclass(frozen=True)
class Design:
    """The arguments of `ResNet` for a network of this family."""

    block: type
    layer_nums: tuple[int, ...]
    groups: int
    base_width: int

    @property
    def block_options(self) -> dict:
        """The further arguments of the blocks; `ResidualBlockBase` has none."""
        if self.block is ResidualBlockBase:
            return {}
        return {"groups": self.groups, "base_width": self.base_width}


def variant(block, layer_nums, groups, base_width, parameters, multiply_adds, **files) -> Network:
    """A row: arguments of `ResNet`, the sizes at 224x224 and 1000 classes, published weights."""
    return Network(
        input_shape=(3, 224, 224),
        parameters=parameters,
        multiply_adds=multiply_adds,
        weights=sources(**files),
        design=Design(block, layer_nums, groups, base_width),
    )


# timm evaluates these at a larger size than it trains them at.
TIMM = {"input_size": 288, "crop_fraction": 1.0}
# Block, blocks of each stage, groups, base width, parameters, multiply-adds; then for each
# publisher its file and the top-1 accuracy that it states.
# fmt: off
NETWORKS = {
    "resnet18": variant(
        ResidualBlockBase, (2, 2, 2, 2), 1, 64, 11_689_512, 1_814_073_344,
        mindvision=("resnet18_224", 0.70078), mindcv=("resnet/resnet18-1e65cd21", 0.7021),
        torchvision=("resnet18-f37072fd", 0.69758), timm=("resnet18.a1_in1k", 0.73158, TIMM),
    ),
    "resnet34": variant(
        ResidualBlockBase, (3, 4, 6, 3), 1, 64, 21_797_672, 3_663_761_408,
        mindvision=("resnet34_224", 0.7372), mindcv=("resnet/resnet34-f297d27e", 0.7415),
        torchvision=("resnet34-b627a593", 0.73314), timm=("resnet34.a1_in1k", 0.77918, TIMM),
    ),
    "resnet50": variant(
        ResidualBlock, (3, 4, 6, 3), 1, 64, 25_557_032, 4_089_184_256,
        mindvision=("resnet50_224", 0.766), mindcv=("resnet/resnet50-e0733ab8", 0.7669),
        torchvision=("resnet50-0676ba61", 0.7613), timm=("resnet50.a1_in1k", 0.81214, TIMM),
    ),
    "resnet101": variant(
        ResidualBlock, (3, 4, 23, 3), 1, 64, 44_549_160, 7_801_405_440,
        mindvision=("resnet101_224", 0.7762), mindcv=("resnet/resnet101-689c5e77", 0.7824),
        torchvision=("resnet101-63fe2227", 0.77374), timm=("resnet101.a1h_in1k", 0.82778, TIMM),
    ),
    "resnet152": variant(
        ResidualBlock, (3, 8, 36, 3), 1, 64, 60_192_808, 11_513_626_624,
        mindvision=("resnet152_224", 0.78636), mindcv=("resnet/resnet152-beb689d8", 0.7872),
        torchvision=("resnet152-394f9c45", 0.78312), timm=("resnet152.a1h_in1k", 0.8345, TIMM),
    ),
    "wide_resnet50_2": variant(
        ResidualBlock, (3, 4, 6, 3), 1, 128, 68_883_240, 11_398_021_120,
        torchvision=("wide_resnet50_2-95faca4d", 0.78468),
        timm=("wide_resnet50_2.racm_in1k", 0.8228, {"input_size": 288, "crop_fraction": 0.95}),
    ),
    "resnext50_32x4d": variant(
        ResidualBlock, (3, 4, 6, 3), 32, 4, 25_028_904, 4_230_479_872,
        mindcv=("resnext/resnext50_32x4d-af8aba16", 0.7853),
        torchvision=("resnext50_32x4d-7cdf4587", 0.77618),
        timm=("resnext50_32x4d.a1h_in1k", 0.82014, TIMM),
    ),
}
# fmt: on


def _function(name, network):
    design = network.design

    def build(num_classes=1000, pretrained=False, in_channels=3, pad_mode="same"):
        """Takes normalised float images (N, in_channels, H, W) of any size from 32 up, 224 by
        default, and returns logits (N, num_classes).

        Args:
            num_classes: number of classes.
            pretrained: False; the name of a publisher, or True for the first of those above, for
                ImageNet weights; or a path or URL, see `load_weights`. A classifier of another
                width is initialised at random.
            in_channels: channels of the images.
            pad_mode: padding of the max-pooling, see `ResNet`.

        Raises:
            UserError: the weights cannot be found, are damaged, or belong to another network.
        """
        backbone = ResNet(
            design.block,
            design.layer_nums,
            in_channels=in_channels,
            pad_mode=pad_mode,
            **design.block_options,
        )
        head = DenseHead(512 * design.block.expansion, num_classes)
        architecture = {
            "arch": name,
            "num_classes": num_classes,
            "in_channels": in_channels,
            "pad_mode": pad_mode,
        }
        net = BaseClassifier(backbone, GlobalAvgPooling(), head)
        return finish(net, architecture, pretrained, network.weights)

    return build


# The functions `resnet18`, `resnet50`, ... of this module.
globals().update(network_functions(NETWORKS, _function))


# timm's names are torchvision's.
TORCHVISION = residual_naming("downsample", "fc", torch=True, pad_mode="pad")


def _recognize(parameters) -> dict:
    """The network with the file's kind of block, depths, and channels of the first block."""
    first = parameters.shape("backbone.layer1.0.conv1.features.0.weight")
    second = parameters.shape("backbone.layer1.0.conv2.features.0.weight")
    third = parameters.shape("backbone.layer1.0.conv3.features.0.weight")
    block = ResidualBlock if third else ResidualBlockBase
    found = (block, parameters.stage_depths(), first[:1], second[1:2])
    for name, network in NETWORKS.items():
        design = network.design
        width = design.groups * design.base_width
        if found == (design.block, design.layer_nums, (width,), (design.base_width,)):
            return {"arch": name}
    return {}


FAMILY = Family(
    networks=NETWORKS,
    namings={
        "mindres": Naming([]),
        "torchvision": TORCHVISION,
        "mindcv": residual_naming("down_sample", "classifier"),
    },
    stem="backbone.conv1.features.0.weight",
    recognize=_recognize,
    pytorch_naming=lambda architecture: TORCHVISION,
)
