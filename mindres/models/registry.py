"""Every network by its name."""

from __future__ import annotations

import fnmatch
from dataclasses import dataclass

from mindres.errors import unknown
from mindres.models import cifar_resnet, classic, inception, resnet
from mindres.models.cifar_resnet import resnet20, resnet32, resnet44, resnet56, resnet110
from mindres.models.classic import alexnet, convnet, lenet5, vgg16
from mindres.models.inception import googlenet, inception_v3
from mindres.models.resnet import resnet18, resnet34, resnet50, resnet101, resnet152

MODELS = {
    function.__name__: function
    for function in (
        resnet18,
        resnet34,
        resnet50,
        resnet101,
        resnet152,
        resnet20,
        resnet32,
        resnet44,
        resnet56,
        resnet110,
        lenet5,
        convnet,
        alexnet,
        vgg16,
        googlenet,
        inception_v3,
    )
}


@dataclass(frozen=True)
class Facts:
    """A network as its function builds it by default: image (channels, height, width), weights, multiply-adds."""

    input_shape: tuple[int, int, int]
    parameters: int
    multiply_adds: int


# Noted, because to build and run all of them takes half a minute; a test compares each with `summarize`.
FACTS = {
    "resnet18": Facts((3, 224, 224), 11_689_512, 1_814_073_344),
    "resnet34": Facts((3, 224, 224), 21_797_672, 3_663_761_408),
    "resnet50": Facts((3, 224, 224), 25_557_032, 4_089_184_256),
    "resnet101": Facts((3, 224, 224), 44_549_160, 7_801_405_440),
    "resnet152": Facts((3, 224, 224), 60_192_808, 11_513_626_624),
    "resnet20": Facts((3, 32, 32), 272_474, 40_813_184),
    "resnet32": Facts((3, 32, 32), 466_906, 69_124_736),
    "resnet44": Facts((3, 32, 32), 661_338, 97_436_288),
    "resnet56": Facts((3, 32, 32), 855_770, 125_747_840),
    "resnet110": Facts((3, 32, 32), 1_730_714, 253_149_824),
    "lenet5": Facts((1, 32, 32), 61_706, 416_520),
    "convnet": Facts((1, 28, 28), 9_098, 290_080),
    "alexnet": Facts((3, 224, 224), 61_100_840, 714_188_480),
    "vgg16": Facts((3, 224, 224), 138_357_544, 15_470_264_320),
    "googlenet": Facts((3, 224, 224), 13_004_888, 1_498_376_192),
    "inception_v3": Facts((3, 299, 299), 27_161_264, 5_713_216_096),
}

# Published weights by network and publisher; those of the CIFAR ResNets depend on the shortcut.
SOURCES = {**resnet.WEIGHTS, **classic.WEIGHTS, **inception.WEIGHTS}


for _shortcut in ("B", "A"):
    for _depth, _sources in cifar_resnet.WEIGHTS[_shortcut].items():
        SOURCES.setdefault(f"resnet{_depth}", {}).update(_sources)


def list_models(pattern="*"):
    """The names of the networks that match a shell-style `pattern`, in the order of the table."""
    return [name for name in MODELS if fnmatch.fnmatchcase(name, pattern)]


def known(name):
    """`name`, if there is a network called so; otherwise a `UserError` that suggests the nearest names."""
    if name in MODELS:
        return name
    raise unknown("network", name, MODELS)
