"""The networks. Each file is a family of networks, and each row of its `NETWORKS` a network.

To add a network to a family, write a row in the family's file, with its sizes and published
weights, and its name below. Its function, `mindres models`, suggestions, recognition of weight
files and documentation follow. To add a family, write a file like `resnet.py`, which ends with a
`registry.Family`, and a line below.

Nothing here loads MindSpore.
"""

from __future__ import annotations

# The networks of each family. A family is a file in this folder.
FAMILIES = {
    "resnet": [
        "resnet18",
        "resnet34",
        "resnet50",
        "resnet101",
        "resnet152",
        "wide_resnet50_2",
        "resnext50_32x4d",
    ],
    "cifar_resnet": ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"],
    "lenet": ["lenet5"],
    "convnet": ["convnet"],
    "alexnet": ["alexnet"],
    "vgg": ["vgg16"],
    "googlenet": ["googlenet"],
    "inception_v3": ["inception_v3"],
}


def homes() -> dict[str, str]:
    """The full name of the module of each network's function, by the network's name."""
    return {
        name: f"mindres.models.{family}" for family, names in FAMILIES.items() for name in names
    }
