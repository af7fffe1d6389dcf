"""mindres: fine-tune and understand ResNets on today's MindSpore.

    import mindres
    net = mindres.resnet50(num_classes=10)

Import it before mindspore, so that the process can be prepared (`mindres.devices.before_mindspore`). Public names
are loaded when they are first used (SPEC 1), so that `mindres --help` need not wait for MindSpore.
"""

import importlib as _importlib
import sys as _sys
import types as _types

from mindres.compat import mindvision as _mindvision
from mindres.devices import before_mindspore as _before_mindspore
from mindres.errors import UserError

__version__ = "0.1.0"

_NETWORKS = {
    "models.resnet": ["resnet18", "resnet34", "resnet50", "resnet101", "resnet152"],
    "models.cifar_resnet": ["resnet20", "resnet32", "resnet44", "resnet56", "resnet110"],
    "models.classic": ["lenet5", "convnet", "alexnet", "vgg16"],
    "models.inception": ["googlenet", "inception_v3"],
}
_HOME = {
    name: module
    for module, names in {
        **_NETWORKS,
        "models.resnet": [
            *_NETWORKS["models.resnet"],
            "ResNet",
            "ResidualBlock",
            "ResidualBlockBase",
            "make_layer",
        ],
        "models.build": ["create_model", "reset_head"],
        "models.registry": ["list_models"],
        "models.load": ["load_weights"],
        "models.save": ["save_checkpoint"],
        "models.checkpoints": ["load_model"],
        "models.folding": ["fold_batch_norm"],
        "devices.set_device": ["set_device"],
        "devices.workers": ["say", "start_workers"],
        "callbacks.monitor": ["ValAccMonitor"],
        "callbacks.loss_monitor": ["LossMonitor"],
        "training.trainer": ["History", "set_seed", "train"],
        "evaluation.evaluator": ["evaluate"],
        "evaluation.predictor": ["predict"],
        "export.exporter": ["export_model"],
    }.items()
    for name in names
}
__all__ = ["UserError", *_HOME]


def __getattr__(name):
    if name not in _HOME:
        raise AttributeError(f"module 'mindres' has no attribute {name!r}")
    return getattr(_importlib.import_module(f"mindres.{_HOME[name]}"), name)


def __dir__():
    return sorted({*globals(), *__all__})


class _NetworkModule(_types.ModuleType):
    """Stands in for `mindres.resnet50` as a module: what is asked of it is asked of its family's file."""

    def __getattr__(self, name):
        return getattr(
            _importlib.import_module(f"mindres.{_HOME[self.__name__.rpartition('.')[2]]}"), name
        )


# `import mindres.resnet50` and `from mindres.resnet50 import resnet50` find these here. An import that
# finds its module leaves the package's attribute alone, so `mindres.resnet50` stays the function.
for _names in _NETWORKS.values():
    for _name in _names:
        _sys.modules[f"mindres.{_name}"] = _NetworkModule(f"mindres.{_name}")

_before_mindspore.install()
_mindvision.install()
