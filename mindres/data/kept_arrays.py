"""Arrays about a data set that are kept in the user's cache and can be made again at any time.

What is missing, damaged, or of another folder or version is None; where the cache cannot be
written, nothing is kept.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mindres import files
from mindres.errors import UserError


class KeptArrays:
    """A file of arrays about `folder`, found again by the folder's path and by `kind`.

    Args:
        folder: what the arrays are about.
        kind: what they say, such as "tree"; the end of the file's name.
        version: another one whenever the arrays have another meaning.
    """

    def __init__(self, folder: Path, kind: str, version: int):
        self._of = os.fsencode(folder.resolve())
        self._version = version
        key = hashlib.sha256(self._of).hexdigest()[:16]
        self._path: Path | None = None
        with contextlib.suppress(UserError):  # there is no home folder
            self._path = files.cache_dir() / "datasets" / f"{key}.{kind}.npz"

    def load(self, *names: str) -> list[NDArray] | None:
        """The arrays of these names."""
        if self._path is None:
            return None
        try:
            # The archive's checksums are compared as it is read.
            with np.load(self._path) as saved:
                of, version, *arrays = (saved[name] for name in ("of", "version", *names))
        except Exception:  # zipfile raises many classes for damaged files
            return None
        return arrays if of.tobytes() == self._of and version == self._version else None

    def save(self, **arrays: NDArray) -> None:
        if self._path is None:
            return
        content = io.BytesIO()
        np.savez(content, of=np.frombuffer(self._of, np.uint8), version=self._version, **arrays)
        with contextlib.suppress(UserError), files.atomic_write(self._path) as part:
            part.write_bytes(content.getbuffer())
