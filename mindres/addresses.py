"""URLs to download from: mirrors, and how URLs are shown in messages."""

from __future__ import annotations

import urllib.parse

from mindres import settings

HUB = "https://huggingface.co/"


def mirror() -> str | None:
    """URL of the server to use in place of every publisher; None if there is none."""
    return settings.get("MINDRES_MIRROR")


def mirror_url(url: str) -> str:
    """`url`, or the same path on the `mirror`, or on the hub that `$HF_ENDPOINT` names."""
    hub = settings.get("HF_ENDPOINT") if url.startswith(HUB) else None
    if instead := mirror() or hub:
        return instead.rstrip("/") + urllib.parse.urlsplit(url).path
    return url


def without_credentials(url: str) -> str:
    """`url` without user name, password, query and fragment, for messages."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")
    )
