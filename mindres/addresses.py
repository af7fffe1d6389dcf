"""Addresses to download from: mirrors, and what of an address is fit to be shown."""

from __future__ import annotations

import urllib.parse

from mindres import settings

HUB = "https://huggingface.co/"


def mirror() -> str | None:
    """The server that stands in for all publishers, for machines that reach none of them."""
    return settings.get("MINDRES_MIRROR")


def mirrored(url: str) -> str:
    """`url`, or the same path at the `mirror`, or at the hub that `$HF_ENDPOINT` names."""
    hub = settings.get("HF_ENDPOINT") if url.startswith(HUB) else None
    if instead := mirror() or hub:
        return instead.rstrip("/") + urllib.parse.urlsplit(url).path
    return url


def without_credentials(url: str) -> str:
    """A URL fit for a message: no user name, password or query."""
    parts = urllib.parse.urlsplit(url)
    return urllib.parse.urlunsplit(
        (parts.scheme, parts.netloc.rpartition("@")[2], parts.path, "", "")
    )
