"""Callbacks for `mindspore.train.Model.train`, one file each.

`ValAccMonitor` and `LossMonitor` can be used with any `Model`; the others are for `mindres.train`.
A new one is a file here, and a line in the list of a run's callbacks in
`mindres.training.assembly`.
"""

from mindres.lazy import lazy_names

_HOMES = {
    "LossMonitor": "mindres.callbacks.loss_monitor",
    "ValAccMonitor": "mindres.callbacks.monitor",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
