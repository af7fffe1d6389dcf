"""Weight files: found on disk, or downloaded into the user's cache."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from mindres import download, files
from mindres.errors import UserError
from mindres.weights.publishers import Source


def find(source, others: str = "") -> tuple[Path, str]:
    """The local file of a path or an http(s) address, and its name for messages, which suggest `others` too."""
    text = str(source)
    if re.match(r"https?://", text):
        return fetch(Source(text), mirror=False), download.without_credentials(text)
    path = Path(os.path.expanduser(text))
    if not path.is_file():
        raise UserError(
            f"there is no weight file {path}: name a file or an http(s) address{others}"
        )
    return path, str(path)


def fetch(source: Source, mirror: bool = True) -> Path:
    """The cached copy of `source`, downloaded first if it is not there yet."""
    key = hashlib.sha256(source.url.encode()).hexdigest()[:8]
    path = files.cache_dir() / "weights" / f"{key}-{source.name}"
    if not path.exists():
        download.download(
            download.mirrored(source.url) if mirror else source.url,
            path,
            sha256=source.sha256,
            hub=source.hub and not download.mirror(),  # a mirror of plain files states no digests
        )
    return path
