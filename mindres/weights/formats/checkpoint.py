"""Reads and writes weight files of every format."""

from __future__ import annotations

import errno
import importlib
import os
import shutil
from pathlib import Path

import numpy as np

from mindres import files
from mindres.errors import UserError
from mindres.signals import deferred_signals
from mindres.weights.formats import FORMATS
from mindres.weights.metadata import Metadata

START = 9  # bytes by which a format is recognised


def read_checkpoint(path: Path | str) -> tuple[dict[str, np.ndarray], Metadata]:
    """The arrays of a weight file by name, and what `save_checkpoint` recorded with them.

    The contents tell the format, not the name. A PyTorch file is read with `weights_only`, which
    runs no code of it, and without its wrapping (`state_dict`, `model_state_dict`, `model`); that
    takes PyTorch, the other formats do not.

    Raises:
        UserError: there is no such file, or it is no weight file, or a damaged one, or holds more
            than weights.
    """
    path = Path(path)
    if not path.is_file():
        raise UserError(f"there is no checkpoint {path}")
    try:
        with open(path, "rb") as file:
            start = file.read(START)
    except OSError as error:
        raise UserError(f"cannot read {path}: {error.strerror}") from None
    formats = (_module(name) for name in FORMATS)
    return next(format for format in formats if format.recognizes(start)).read(path)


def write_checkpoint(arrays: dict, path: Path | str, metadata: Metadata) -> Path:
    """Write `arrays`, of NumPy or MindSpore, with `metadata` to `path`, whole or not at all.

    Its ending chooses the format: an ordinary MindSpore checkpoint or .safetensors file, which
    others read too.

    Raises:
        UserError: no format that can be written has the ending, or the file cannot be written.
    """
    path = Path(path)
    endings = {ending: name for name, ending in FORMATS.items() if ending}
    if path.suffix not in endings:
        raise UserError(
            f"cannot tell the format of {path}: name a file that ends in "
            f"{' or '.join(sorted(endings))}"
        )

    def write() -> None:
        with files.atomic_write(path) as part:
            _reserve(part, sum(value.nbytes for value in arrays.values()))
            with deferred_signals():  # MindSpore logs whatever ends its writing as a failure
                _module(endings[path.suffix]).write(arrays, metadata, part)

    files.write_despite_removal(write)
    return path


def _module(name: str):
    return importlib.import_module(f"mindres.weights.formats.{name}")


def _reserve(path: Path, size: int) -> None:
    """Raise `OSError` where `path` cannot grow to `size` bytes.

    It is asked first, because MindSpore answers a full disk with lines of its own.
    """
    if shutil.disk_usage(path.parent).free < 1.1 * size:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
    if hasattr(os, "posix_fallocate"):  # which knows quotas and limits on a file's size too
        with open(path, "rb+") as file:
            os.posix_fallocate(file.fileno(), 0, max(size, 1))
