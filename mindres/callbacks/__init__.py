"""Callbacks for `mindspore.train.Model.train`."""

from mindres.lazy import lazy_names

_HOMES = {
    "LossMonitor": "mindres.callbacks.loss_monitor",
    "ValAccMonitor": "mindres.callbacks.monitor",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
