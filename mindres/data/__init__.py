"""Data sets of labelled images.

To add one, write a file with its class, a subclass of `ImageDataset`, and add a row to `DATASETS`:
the name for `--dataset`, and the class. Help, lists, suggestions and `create_dataset` follow from
the row. The class defines the rest: URLs and digests of its files, class names, mean and standard
deviation, and the channels of its images.
"""

from mindres.lazy import lazy_names

DATASETS = {
    "digits": "mindres.data.digits:Digits",
    "cifar10": "mindres.data.cifar:Cifar10",
    "cifar100": "mindres.data.cifar:Cifar100",
    "mnist": "mindres.data.mnist:Mnist",
    "fashion_mnist": "mindres.data.mnist:FashionMnist",
    "svhn": "mindres.data.svhn:Svhn",
    "folder": "mindres.data.folder:ImageFolder",
    "table": "mindres.data.table:ImageTable",
}

OWN = ("folder", "table")  # the user's own images
CACHES = ("none", "auto", "ram", "disk")  # where copies of these are kept for training
BUILT_IN = [name for name in DATASETS if name not in OWN]

# Automatic augmentation of training images: functions that return the operations.
AUTO_AUGMENT = {
    "none": "mindres.data.augment:no_augmentation",
    "randaugment": "mindres.data.augment:rand_augment",
    "trivialaugment": "mindres.data.augment:trivial_augment",
}

_HOMES = {
    **{address.partition(":")[2]: address.partition(":")[0] for address in DATASETS.values()},
    "ImageDataset": "mindres.data.dataset",
    "create_dataset": "mindres.data.build",
    "dataset_class": "mindres.data.build",
}
__all__ = sorted({*_HOMES, "DATASETS"})
__getattr__, __dir__ = lazy_names(__name__, _HOMES)
