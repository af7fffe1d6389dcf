"""Checksums of files."""

from __future__ import annotations

import hashlib
from pathlib import Path

from mindres.errors import UserError


def verify(
    path: Path, *, md5: str | None = None, sha256: str | None = None, name: str | None = None
) -> None:
    """Check that the file's hex digests begin with those given.

    Raises:
        UserError: the file has another digest; the message calls it `name`, by default its path.
    """
    for kind, wanted in (("md5", md5), ("sha256", sha256)):
        if wanted:
            found = digest(path, kind)
            if not found.startswith(wanted.lower()):
                raise UserError(
                    f"{name or path} is damaged or not the published file: its {kind.upper()} "
                    f"begins with {found[: max(8, len(wanted))]}, not {wanted}; delete it and "
                    "download it again"
                )


def digest(path: Path, kind: str) -> str:
    """The hex digest of a file, which is read in chunks."""
    with open(path, "rb") as file:
        total = hashlib.new(kind, usedforsecurity=False)
        while chunk := file.read(1 << 20):
            total.update(chunk)
    return total.hexdigest()
