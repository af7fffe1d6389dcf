"""Extracts files from archives into one folder, within limits of size and number."""

from __future__ import annotations

import gzip
import tarfile
import zlib
from pathlib import Path
from typing import NamedTuple

from mindres.errors import UserError
from mindres.files import atomic_write, reason


class Limits(NamedTuple):
    """The largest size of an unpacked archive."""

    member: int = 1 << 28  # bytes of the largest file
    archive: int = 1 << 30  # bytes in all
    members: int = 1000  # files and folders, each of which takes memory


LIMITS = Limits()


def extract(archive: Path, folder: Path, names: set[str], limits: Limits = LIMITS) -> None:
    """Extract the regular files `names` from a tar archive, with or without gzip, to `folder`.

    Only the last part of a member's name is used, so `..`, absolute paths and links have no effect.

    Raises:
        UserError: the archive is damaged, lacks one of the files, or exceeds the `limits`.
    """
    missing = set(names)
    try:
        with open(archive, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with (
            (gzip.open if packed else open)(archive, "rb") as unpacked,
            tarfile.open(fileobj=_Bounded(unpacked, limits), mode="r:") as tar,  # type: ignore[call-overload]
        ):
            for number, member in enumerate(tar, 1):
                if number > limits.members:
                    raise ValueError(f"it has more than {limits.members:,} members")
                name = Path(member.name).name
                if member.isfile() and name in missing:
                    with (
                        atomic_write(folder / name, follow_symlinks=False) as part,
                        open(part, "wb") as out,
                    ):
                        copy(tar.extractfile(member), out, limits.member)
                    missing.discard(name)
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, RecursionError) as error:
        raise UserError(
            f"{archive} cannot be unpacked: {reason(error)}; delete it and download it again"
        ) from None
    if missing:
        raise UserError(
            f"{archive} does not hold {sorted(missing)[0]}; delete it and download it again"
        )


class _Bounded:
    """An unpacked archive that raises an error if it exceeds the limits."""

    def __init__(self, file, limits: Limits):
        self.file = file
        self.tell = file.tell
        self.limits = limits

    def read(self, size):
        self._check(size)
        return self.file.read(size)

    def seek(self, position):
        self._check(position - self.tell())
        return self.file.seek(position)

    def _check(self, size):
        if size > self.limits.member:
            raise tarfile.ReadError(f"a member has more than {self.limits.member:,} bytes")
        if self.tell() + size > self.limits.archive:
            raise tarfile.ReadError(f"it unpacks to more than {self.limits.archive:,} bytes")


def copy(source, target, most: int = LIMITS.member) -> None:
    """Copy an open file to another; raises ValueError if it has more than `most` bytes."""
    left = most
    while chunk := source.read(1 << 20):
        left -= len(chunk)
        if left < 0:
            raise ValueError(f"it unpacks to more than {most:,} bytes")
        target.write(chunk)
