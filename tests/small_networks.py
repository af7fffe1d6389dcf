"""Networks that take little time to build, to compile and to run."""

import mindspore
import numpy as np
from mindvision.classification.models.classifiers import BaseClassifier
from mindvision.classification.models.head import DenseHead
from mindvision.classification.models.neck import GlobalAvgPooling

import mindres
from mindres.compat import mindspore as private
from mindres.models.cifar_resnet import CifarResNet


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
