"""Who publishes weights, and what one must know to use them."""

from __future__ import annotations

import re
from dataclasses import dataclass

# Whose weights can be asked for by name, and where they state their accuracy.
PUBLISHERS = {
    "mindvision": "the README of each network in MindVision's repository, gitee.com/mindspore/vision",
    "mindcv": "the README of each network in github.com/mindspore-lab/mindcv, configs/",
    "torchvision": "torchvision.models, the metadata of the IMAGENET1K_V1 weights",
    "akamaster": "the README of github.com/akamaster/pytorch_resnet_cifar10",
    "chenyaofo": "the README of github.com/chenyaofo/pytorch-cifar-models",
}


@dataclass(frozen=True)
class Source:
    """Weights that somebody publishes, and what one must know to use them.

    `sha256` holds the digest's first digits, where the file's name carries them; `mean` and `std` normalise
    images in [0, 1]; `input_size` is the side they are meant for; `top1` is the published accuracy, a fraction.
    """

    url: str
    sha256: str | None = None
    num_classes: int = 1000
    mean: tuple[float, ...] = (0.485, 0.456, 0.406)
    std: tuple[float, ...] = (0.229, 0.224, 0.225)
    input_size: int = 224
    top1: float | None = None

    def __post_init__(self):
        if self.sha256 is None:
            found = re.search(r"-([0-9a-f]{8,64})\.\w+$", self.url)
            object.__setattr__(self, "sha256", found and found[1])
