"""The datasets by name."""

from __future__ import annotations

from mindres.data.cifar import Cifar10, Cifar100
from mindres.data.digits import Digits
from mindres.data.folder import ImageFolder
from mindres.data.mnist import Mnist

DATASETS = {
    "digits": Digits,
    "cifar10": Cifar10,
    "cifar100": Cifar100,
    "mnist": Mnist,
    "folder": ImageFolder,
}
