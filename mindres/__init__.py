"""mindres: fine-tune and understand ResNets on today's MindSpore.

    import mindres
    net = mindres.resnet50(num_classes=10)

Import it before mindspore, so that it can prepare the process
(`mindres.devices.before_mindspore`). Public names are loaded on first use, so that
`mindres --help` does not wait for MindSpore.
"""

from mindres import models as _models
from mindres.compat import mindvision as _mindvision, module_names as _module_names
from mindres.devices import before_mindspore as _before_mindspore
from mindres.errors import UserError
from mindres.lazy import lazy_names as _lazy_names

__version__ = "0.1.0"

_HOMES = {
    name: f"mindres.{module}"
    for module, names in {
        "models.build": ["create_model", "reset_head"],
        "models.checkpoints": ["load_model"],
        "models.folding": ["fold_batch_norm"],
        "models.load": ["load_weights"],
        "models.registry": ["list_models"],
        "models.residual_blocks": ["ResidualBlock", "ResidualBlockBase", "make_layer"],
        "models.resnet_backbone": ["ResNet"],
        "models.save": ["save_checkpoint"],
        "devices.set_device": ["set_device"],
        "devices.workers": ["say", "start_workers"],
        "callbacks.monitor": ["ValAccMonitor"],
        "callbacks.loss_monitor": ["LossMonitor"],
        "training.trainer": ["History", "set_seed", "train"],
        "cli.fit": ["fit"],
        "evaluation.comparison": ["compare"],
        "evaluation.evaluator": ["evaluate"],
        "evaluation.predictor": ["predict"],
        "evaluation.robustness": ["robustness"],
        "export.exporter": ["export_model"],
    }.items()
    for name in names
}
_HOMES.update(_models.homes())
__all__ = ["UserError", *_HOMES]


__getattr__, __dir__ = _lazy_names(__name__, _HOMES)

_before_mindspore.install()
_mindvision.install()
_module_names.install(_models.homes())
