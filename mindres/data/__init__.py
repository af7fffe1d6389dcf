"""Data sets of labelled images."""

from mindres.lazy import lazy_names

_HOMES = {
    "Cifar10": "mindres.data.cifar",
    "Cifar100": "mindres.data.cifar",
    "Digits": "mindres.data.digits",
    "ImageDataset": "mindres.data.dataset",
    "ImageFolder": "mindres.data.folder",
    "Mnist": "mindres.data.mnist",
    "DATASETS": "mindres.data.index",
}
__all__ = sorted(_HOMES)
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
