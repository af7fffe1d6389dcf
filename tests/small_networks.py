"""Networks that take little time to build, to compile and to run."""

import dataclasses

import mindspore
import numpy as np
from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead
from mindvision.classification.models.neck import GlobalAvgPooling

import mindres
from mindres.compat import mindspore as private
from mindres.models import FAMILIES, alexnet, cifar_resnet, resnet, vgg
from mindres.models.cifar_resnet import CifarResNet
from mindres.models.registry import network_functions


def zero_model(arch, **options):
    """A network whose weights are zero, for tests in which only names and shapes count."""
    with private.without_initial_values():
        net = mindres.create_model(arch, **options)
    for parameter in net.get_parameters():
        parameter.set_data(mindspore.Tensor(np.zeros(parameter.shape, np.float32)))
    private.initialise_rest(net)
    return net


def resnet8(shortcut="B"):
    """A ResNet-20 with one block a stage instead of three: it compiles in a third of the time."""
    net = BaseClassifier(CifarResNet(1, shortcut), GlobalAvgPooling(), DenseHead(64, 10))
    return net.set_train(False)


def add_resnet8(patch):
    """Make "resnet8", a ResNet-20 with one block a stage, a network like the others, until `patch` is undone.

    `patch` is pytest's `monkeypatch`, here and below.
    """
    patch.setitem(FAMILIES, "cifar_resnet", [*FAMILIES["cifar_resnet"], "resnet8"])
    _set_row(patch, cifar_resnet, "resnet8", cifar_resnet.variant(8, 78_042, 12_501_632))


def shorten_resnets(patch):
    """`resnet18`, `resnet50` and `resnext50_32x4d` have one block a stage."""
    for name in ("resnet18", "resnet50", "resnext50_32x4d"):
        row = resnet.NETWORKS[name]
        design = dataclasses.replace(row.design, layer_nums=(1, 1, 1, 1))
        _set_row(patch, resnet, name, dataclasses.replace(row, design=design))


def _set_row(patch, family, name, row):
    patch.setitem(family.NETWORKS, name, row)
    build = network_functions({name: row}, family._function)[name]
    patch.setattr(family, name, build, raising=False)


def narrow_classifiers(patch, width=96):
    """AlexNet and VGG-16 have hidden layers of 96 instead of 4096: these are nine tenths of their weights."""
    for module in (alexnet, vgg):
        patch.setattr(module, "WIDTH", width)
