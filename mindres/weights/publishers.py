"""The publishers of weights: where their files, digests and accuracies are.

To add a publisher, add its row here, and one value under its name to the row of each network that
it has weights for: the file's name for the URL, the top-1 accuracy, and fields of `Source` that
differ from the publisher's `facts`.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from mindres.weights.metadata import Metadata

MINDRES = "mindres"  # the publisher whose files come with the package
PACKAGE = "package:/"  # how their URLs begin


@dataclass(frozen=True)
class Source:
    """Published weights, and how images are prepared for them.

    Attributes:
        url: URL of the file; `PACKAGE` and its name if the file comes with mindres.
        sha256: first digits of its digest, if its name has them.
        num_classes: number of classes.
        mean, std: normalisation of images with values in [0, 1], by channel.
        input_size: side in pixels of the images that `top1` was measured with.
        crop_fraction: fraction of an image's shorter side that these images keep.
        top1: the published top-1 accuracy, a fraction.
        name: the name of the file, unique to its publisher.
        hub: whether the server is Hugging Face's hub, which states the digest.
    """

    url: str
    sha256: str | None = None
    num_classes: int = 1000
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    input_size: int = 224
    crop_fraction: float = 0.875
    top1: float | None = None
    name: str = ""
    hub: bool = False

    def __post_init__(self):
        if not self.name:
            name = self.url.rpartition("/")[2].partition("?")[0]
            object.__setattr__(self, "name", name)
        if self.sha256 is None:
            found = re.search(r"-([0-9a-f]{8,64})\.\w+$", self.url)
            object.__setattr__(self, "sha256", found and found[1])

    @property
    def in_package(self) -> bool:
        """Whether the file comes with mindres, so that nothing is downloaded."""
        return self.url.startswith(PACKAGE)

    def metadata(self) -> Metadata:
        """How images are prepared for these weights, as metadata of a checkpoint."""
        return Metadata(
            mean=list(self.mean),
            std=list(self.std),
            input_size=[self.input_size] * 2,
            crop_fraction=self.crop_fraction,
            fit="crop",
        )


@dataclass(frozen=True)
class Publisher:
    """A row: a publisher of weights.

    Args:
        accuracy: where the top-1 accuracies are stated.
        address: URL of a file, with `{}` in place of its name.
        facts: fields of `Source` that all its weights share.
        ending: extension of the files in the cache, if all URLs end in the same name.
        takes_pytorch: whether reading the files needs PyTorch.
    """

    accuracy: str
    address: str
    facts: dict = field(default_factory=dict)
    ending: str | None = None
    takes_pytorch: bool = False

    def source(self, file: str, top1: float | None = None, **facts) -> Source:
        """This publisher's weights with the name `file`."""
        name = "" if self.ending is None else f"{file}{self.ending}"
        return Source(self.address.format(file), top1=top1, name=name, **{**self.facts, **facts})


# Facts of weights that were trained on a data set; akamaster's had ImageNet's mean and deviation.
CIFAR10 = {"num_classes": 10, "input_size": 32, "crop_fraction": 1.0}
CIFAR10_STANDARDISED = {
    **CIFAR10,
    "mean": (0.4914, 0.4822, 0.4465),
    "std": (0.2023, 0.1994, 0.2010),
}
MNIST = {**CIFAR10, "mean": (0.1307,), "std": (0.3081,)}
PUBLISHERS = {
    # A card in ckpt/ says how each file was trained. `pretrained=True` does not mean these.
    MINDRES: Publisher(
        "the cards in ckpt/ of mindres's repository, on test images that chose nothing",
        PACKAGE + "{}.safetensors",
    ),
    "mindvision": Publisher(
        "the README of each network in MindVision's repository, gitee.com/mindspore/vision",
        "https://download.mindspore.cn/vision/classification/{}.ckpt",
    ),
    "mindcv": Publisher(
        "the README of each network in github.com/mindspore-lab/mindcv, configs/",
        "https://download.mindspore.cn/toolkits/mindcv/{}.ckpt",
    ),
    "torchvision": Publisher(
        "torchvision.models, the metadata of the IMAGENET1K_V1 weights",
        "https://download.pytorch.org/models/{}.pth",
        takes_pytorch=True,
    ),
    "timm": Publisher(
        "results/results-imagenet.csv in github.com/huggingface/pytorch-image-models",
        "https://huggingface.co/timm/{}/resolve/main/model.safetensors",
        facts={"hub": True},
        ending=".safetensors",
    ),
    "akamaster": Publisher(
        "the README of github.com/akamaster/pytorch_resnet_cifar10",
        "https://github.com/akamaster/pytorch_resnet_cifar10/raw/master/pretrained_models/{}.th",
        facts=CIFAR10,
        takes_pytorch=True,
    ),
    "chenyaofo": Publisher(
        "the README of github.com/chenyaofo/pytorch-cifar-models",
        "https://github.com/chenyaofo/pytorch-cifar-models/releases/download/resnet/{}.pt",
        facts=CIFAR10_STANDARDISED,
        takes_pytorch=True,
    ),
}


def sources(**published: tuple) -> dict[str, Source]:
    """The weights of a network by publisher.

    Each publisher has a tuple of the file's name, its top-1 accuracy and, if they differ from the
    publisher's, fields of `Source` in a dict:

        sources(
            mindvision=("resnet50_224", 0.766),
            timm=("resnet50.a1_in1k", 0.81214, {"input_size": 288}),
        )
    """
    found = {}
    for name, (file, top1, *facts) in published.items():
        found[name] = PUBLISHERS[name].source(file, top1, **(facts[0] if facts else {}))
    return found
