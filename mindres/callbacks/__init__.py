"""Callbacks for `mindspore.train.Model.train`: a file for each.

`ValAccMonitor` and `LossMonitor` are for everybody's `Model`; `mindres.train` puts the others
beside them. A new one is a file here, and a line where `mindres.training.assembly` lists the
callbacks of a run.
"""

from mindres.lazy import lazy_names

_HOMES = {
    "LossMonitor": "mindres.callbacks.loss_monitor",
    "ValAccMonitor": "mindres.callbacks.monitor",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
