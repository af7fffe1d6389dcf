"""Local weight files: the user's own, the package's, and downloaded ones in the cache."""

from __future__ import annotations

import hashlib
import os
import re
from pathlib import Path

from mindres import addresses, download, files
from mindres.errors import UserError
from mindres.weights.publishers import Source

FILES = Path(__file__).with_name("files")  # the weights that come with mindres


def local_file(source, others: str = "") -> tuple[Path, str]:
    """The file that a path or a URL names, which is downloaded if necessary.

    Args:
        source: the path or the URL.
        others: other possible sources, for the error message.

    Returns:
        Its path, and its name for messages, without passwords.

    Raises:
        UserError: there is no such file, or it cannot be downloaded.
    """
    text = str(source)
    if re.match(r"https?://", text):
        path = download_weights(Source(text), mirror=False)
        return path, addresses.without_credentials(text)
    path = Path(os.path.expanduser(text))
    if not path.is_file():
        raise UserError(f"there is no weight file {path}: name a file or an http(s) URL{others}")
    return path, str(path)


def published_file(source: Source) -> Path:
    """The local file of published weights, which is downloaded if it is not in the package.

    Raises:
        UserError: the package lacks the file, or it cannot be downloaded.
    """
    if not source.in_package:
        return download_weights(source)
    path = FILES / source.name
    if not path.is_file():
        raise UserError(f"this installation of mindres lacks {path}: install mindres again")
    return path


def download_weights(source: Source, mirror: bool = True) -> Path:
    """The cached copy of `source`, which is downloaded and verified if there is none yet.

    Args:
        source: the published weights.
        mirror: whether to use the user's mirror of the publishers.

    Raises:
        UserError: the file cannot be downloaded, or is not the published one.
    """
    key = hashlib.sha256(source.url.encode()).hexdigest()[:8]
    path = files.cache_dir() / "weights" / f"{key}-{source.name}"
    if not path.exists():
        download.download(
            addresses.mirror_url(source.url) if mirror else source.url,
            path,
            sha256=source.sha256,
            hub=source.hub and not addresses.mirror(),  # a mirror of plain files states no digests
        )
    return path
