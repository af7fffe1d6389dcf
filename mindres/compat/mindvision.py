"""Lets MindVision 0.1.0, its last release, import and run on current versions of MindSpore.

`install` only registers an import hook; nothing is loaded until MindVision imports it. Both tables
follow changes of MindSpore, which tests/compat/test_mindvision.py lists line by line.
"""

from __future__ import annotations

import importlib
import sys
import types
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader

# MindSpore 2.0 merged the C++ and the Python transforms. MindVision imports the old names of the
# vision transforms; programs of its time import the others, too.
ALIASES = {
    "mindspore.dataset.vision.c_transforms": "mindspore.dataset.vision",
    "mindspore.dataset.vision.py_transforms": "mindspore.dataset.vision",
    "mindspore.dataset.transforms.c_transforms": "mindspore.dataset.transforms",
    "mindspore.dataset.transforms.py_transforms": "mindspore.dataset.transforms",
}
# MindSpore 2.0 replaced `nn.Dropout(keep_prob)` by `nn.Dropout(p=1 - keep_prob)`. The old form
# warns whenever a network with it is built, compiled or printed.
DROPOUT_USERS = {
    "mindvision.classification.models.backbones.vit",
    "mindvision.classification.models.blocks.attention",
    "mindvision.classification.models.blocks.feed_forward",
    "mindvision.classification.models.head.dense_head",
}


class _Finder(MetaPathFinder):
    def find_spec(self, fullname, path=None, target=None):
        if fullname in ALIASES:
            return ModuleSpec(fullname, _AliasLoader())
        spec = PathFinder.find_spec(fullname, path) if fullname in DROPOUT_USERS else None
        if spec:
            spec.loader = _DropoutLoader(fullname, spec.origin)
        return spec


class _AliasLoader(Loader):
    """Fills a module with the contents of the one that replaced it."""

    def create_module(self, spec):
        return None

    def exec_module(self, module):
        _copy_names(importlib.import_module(ALIASES[module.__name__]), module)


class _DropoutLoader(SourceFileLoader):
    """Runs a MindVision file, then gives it an `nn` whose `Dropout` still takes `keep_prob`."""

    def exec_module(self, module):
        super().exec_module(module)
        from mindspore import nn

        dropout = nn.Dropout
        module.nn = types.ModuleType(nn.__name__)
        _copy_names(nn, module.nn)
        module.nn.Dropout = lambda keep_prob=0.5: dropout(p=1.0 - keep_prob)


def _copy_names(source, target) -> None:
    # No submodules: a reference that outlives them makes MindSpore's cells fail in `__del__`.
    vars(target).update(
        {
            name: value
            for name, value in vars(source).items()
            if not name.startswith("__") and not isinstance(value, types.ModuleType)
        }
    )


def install() -> None:
    """Register the import hook, once."""
    if not any(isinstance(finder, _Finder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Finder())
