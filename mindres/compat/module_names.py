"""Makes `import mindres.resnet50` work, the spelling of MindSpore's tutorial.

The package's attribute of that name is the function. An import that finds its module in
`sys.modules` does not rebind the attribute (tested on CPython 3.11 and 3.12), so `mindres.resnet50`
stays the function whichever spelling comes first.
"""

from __future__ import annotations

import importlib
import sys
import types


class StandInModule(types.ModuleType):
    """A module with the names of another one, which is imported on first use."""

    def __init__(self, name: str, home: str):
        super().__init__(name)
        self.__home = home

    def __getattr__(self, name):
        # `inspect` asks every module for its `__file__`, when PyTorch is imported for example.
        if name.startswith("__") and name != "__all__":
            raise AttributeError(f"module {self.__name__} has no attribute {name}")
        return getattr(importlib.import_module(self.__home), name)


def install(homes: dict[str, str]) -> None:
    """Put a stand-in for the module `homes[name]` into `sys.modules` as `mindres.name`."""
    for name, home in homes.items():
        sys.modules[f"mindres.{name}"] = StandInModule(f"mindres.{name}", home)
