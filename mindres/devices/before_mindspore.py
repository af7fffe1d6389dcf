"""Prepares the process when MindSpore is about to be imported.

Two things are needed before MindSpore's first operator: a oneDNN setting without which convolutions
on AVX-512 processors are slower by an order of magnitude (`cpu`), and the GPU libraries (`gpu`),
which `import mindspore` looks for. That is why `import mindres` comes first. It only registers an
import hook. When MindSpore is imported, the process is prepared for the device that `set_device` or
`MINDRES_DEVICE_TARGET` has named, or for any device. `set_device` may still choose another later.
"""

from __future__ import annotations

import atexit
import os
import sys
from importlib.abc import MetaPathFinder
from importlib.machinery import PathFinder

from mindres import settings
from mindres.devices import cpu, gpu
from mindres.errors import UserError
from mindres.signals import deferred_signals

# The device that `set_device` was last called with.
asked_for: str | None = None


def install() -> None:
    """Register the import hook; called once, by `import mindres`."""
    if "mindspore" not in sys.modules:
        sys.meta_path.insert(0, _BeforeMindSpore())
        return
    speed = ""
    if requested_device() not in ("GPU", "Ascend") and cpu.limit_onednn():
        speed = f" and {cpu.ISA}=AVX2, which CPU speed needs, works only if no operator has run yet"
    print(
        "mindres: warning: mindspore was imported before mindres: the GPU libraries can no longer "
        f"be loaded{speed}; import mindres first",
        file=sys.stderr,
    )


def requested_device() -> str | None:
    """The device that `set_device` or `MINDRES_DEVICE_TARGET` has named; None if neither has."""
    return asked_for or settings.get("MINDRES_DEVICE_TARGET")


def prepare() -> None:
    """Set up environment and libraries for the requested device, without importing MindSpore."""
    device = requested_device()
    if device not in ("GPU", "Ascend"):
        cpu.limit_onednn()
    if device in (None, "auto", "GPU"):
        gpu.prepare()


def _check_working_directory() -> None:
    """Refuse a deleted working directory, in which MindSpore's import aborts Python."""
    try:
        os.getcwd()
    except OSError:
        raise UserError(
            "the working directory has been deleted: change to a folder that exists"
        ) from None


class _BeforeMindSpore(MetaPathFinder):
    """Calls `prepare` when MindSpore is about to be imported, and defers signals meanwhile."""

    def find_spec(self, fullname, path=None, target=None):
        if fullname != "mindspore":
            return None
        _check_working_directory()
        prepare()
        spec = PathFinder.find_spec(fullname, path, target)
        if spec:
            _import_whole(spec)
        return spec


def _import_whole(spec) -> None:
    """Defer Ctrl-C and SIGTERM during the import: Python aborts if it is cut short."""
    execute = spec.loader.exec_module

    def exec_module(module):
        try:
            with deferred_signals():
                execute(module)
        except KeyboardInterrupt:
            # Python undoes the import, but MindSpore's exit callbacks import mindspore again.
            atexit.register(sys.modules.__setitem__, spec.name, module)
            raise

    spec.loader.exec_module = exec_module
