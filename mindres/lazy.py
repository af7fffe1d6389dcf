"""Public names that are loaded on first use, as in Scientific Python's SPEC 1."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable


def lazy_names(package: str, homes: dict[str, str]) -> tuple[Callable, Callable]:
    """`__getattr__` and `__dir__` for the `__init__.py` of `package`.

    `homes` maps each public name to the full name of the module that defines it.
    """

    def getattr_(name):
        if name not in homes:
            raise AttributeError(f"module {package!r} has no attribute {name!r}")
        return getattr(importlib.import_module(homes[name]), name)

    def dir_():
        return sorted({*vars(sys.modules[package]), *homes})

    return getattr_, dir_
