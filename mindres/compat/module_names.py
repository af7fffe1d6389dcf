"""Makes `import mindres.resnet50` possible, as the tutorial's readers know it from MindVision.

The network's function is the package's attribute of that name. An import that finds its module in
`sys.modules` leaves the attribute alone (tried on CPython 3.11 and 3.12), so `mindres.resnet50`
stays the function in whatever order the spellings come.
"""

from __future__ import annotations

import importlib
import sys
import types


class StandInModule(types.ModuleType):
    """A module whose names are those of another one, which is imported when the first is used."""

    def __init__(self, name: str, home: str):
        super().__init__(name)
        self.__home = home

    def __getattr__(self, name):
        return getattr(importlib.import_module(self.__home), name)


def install(homes: dict[str, str]) -> None:
    """Put a stand-in for the module `homes[name]` into `sys.modules` as `mindres.name`."""
    for name, home in homes.items():
        sys.modules[f"mindres.{name}"] = StandInModule(f"mindres.{name}", home)
