"""Packed datasets: what is needed is taken out of them, no more than a dataset has, and nothing leaves the folder."""

from __future__ import annotations

import gzip
import itertools
import tarfile
import zlib
from pathlib import Path

from mindres.errors import UserError
from mindres.files import atomic_write, reason

LARGEST_MEMBER = 1 << 28  # the largest file of a dataset is CIFAR-100's, 155 MB
LARGEST_ARCHIVE = 1 << 30
MOST_MEMBERS = 1000  # each takes memory


def extract(archive: Path, folder: Path, names: set[str]) -> None:
    """Take the regular files called `names` out of a tar archive, packed by gzip or not, into `folder`.

    Only the last part of a member's name is looked at, so `..`, absolute paths and links have no
    effect. `UserError` when the archive is damaged, lacks one of the files, or unpacks to more than any dataset.
    """
    missing = set(names)
    try:
        with open(archive, "rb") as file:
            packed = file.read(2) == b"\x1f\x8b"
        with (
            (gzip.open if packed else open)(archive, "rb") as file,
            tarfile.open(fileobj=_Bounded(file), mode="r:") as tar,
        ):
            for member in itertools.islice(tar, MOST_MEMBERS):
                name = Path(member.name).name
                if member.isfile() and name in missing:
                    with (
                        atomic_write(folder / name, follow_symlinks=False) as part,
                        open(part, "wb") as out,
                    ):
                        copy(tar.extractfile(member), out)
                    missing.discard(name)
    except (tarfile.TarError, EOFError, OSError, zlib.error, ValueError, RecursionError) as error:
        raise UserError(
            f"{archive} cannot be unpacked: {reason(error)}; delete it and fetch it again"
        ) from None
    if missing:
        raise UserError(
            f"{archive} does not hold {sorted(missing)[0]}; delete it and fetch it again"
        )


class _Bounded:
    """An unpacked archive that ends in an error where a dataset would long have ended."""

    def __init__(self, file):
        self.file, self.tell = file, file.tell

    def read(self, size):
        self._check(size)
        return self.file.read(size)

    def seek(self, position):
        self._check(position - self.tell())
        return self.file.seek(position)

    def _check(self, size):
        if size > LARGEST_MEMBER or self.tell() + size > LARGEST_ARCHIVE:
            raise tarfile.ReadError("it unpacks to more than any dataset")


def copy(source, target) -> None:
    """Copy an open file into another one; `ValueError` where it is larger than any dataset's."""
    left = LARGEST_MEMBER
    while chunk := source.read(1 << 20):
        left -= len(chunk)
        if left < 0:
            raise ValueError("it unpacks to more than any dataset")
        target.write(chunk)
