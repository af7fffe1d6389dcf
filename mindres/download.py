"""One address to one verified file."""

from __future__ import annotations

import email.utils
import http.client
import ssl
import time
import urllib.error
import urllib.parse
from pathlib import Path

from mindres.addresses import without_credentials
from mindres.checksums import verify
from mindres.errors import UserError
from mindres.files import atomic_write, reason
from mindres.transfer import Transfer

ATTEMPTS = 4  # that bring nothing new

MOST_ATTEMPTS = 30

LONGEST_WAIT_S = 60

# A full disk is an OSError too, and no reason to ask the server again. An address that a redirect
# gives can be a ValueError.
NETWORK_ERRORS = (
    urllib.error.URLError,
    http.client.HTTPException,
    TimeoutError,
    ConnectionError,
    ssl.SSLError,
    ValueError,
)


def download(
    url: str,
    path: Path | str,
    *,
    md5: str | None = None,
    sha256: str | None = None,
    hub: bool = False,
) -> Path:
    """Fetch `url` to `path` with a progress bar, verify it, and only then put it in place.

    `md5` and `sha256` are hex digests, or the first digits of one. A SHA-256 that the server states
    as Hugging Face's hub does is verified too; with `hub` it must state one. A transfer that breaks
    off is taken up where it stopped if the server proves that the file is still the same, and
    starts over if not. Raises `UserError` when the file cannot be had or is not the one that was
    promised.
    """
    path = Path(path)
    try:
        shown, scheme = without_credentials(url), urllib.parse.urlsplit(url).scheme
    except ValueError as error:
        raise UserError(f"that is no address to download from: {error}") from None
    if scheme not in ("http", "https"):
        raise UserError(f"{shown} is not an http or https address")
    with atomic_write(path) as part:
        transfer = Transfer(url, part, path.name, verified=bool(md5 or sha256), hub=hub)
        in_vain = 0
        for attempt in range(1, MOST_ATTEMPTS + 1):
            before = part.stat().st_size
            try:
                transfer.attempt()
                break
            except NETWORK_ERRORS as error:
                # A server that drips would bring something new for ever.
                gained = part.stat().st_size > before and not isinstance(error, TimeoutError)
                in_vain = 1 if gained else in_vain + 1
                if (
                    in_vain == ATTEMPTS
                    or attempt == MOST_ATTEMPTS
                    or not transfer.worth_another_try(error)
                ):
                    raise UserError(
                        f"cannot download {shown}: {reason(error)}; check the network or its "
                        f"proxy, or put the file at {path} by hand"
                    ) from None
                time.sleep(max(min(2**attempt / 2, 8), min(_retry_after(error), LONGEST_WAIT_S)))
        verify(part, md5=md5, sha256=sha256, name=shown)
        verify(part, sha256=transfer.stated_sha256, name=shown)
    return path


def _retry_after(error) -> float:
    """The seconds that a server wants to be left in peace, in either form that it may say so."""
    headers = getattr(error, "headers", None) or {}
    said = headers.get("Retry-After", "")
    try:
        return (
            float(said)
            if said.isdigit()
            else email.utils.parsedate_to_datetime(said).timestamp() - time.time()
        )
    except (ValueError, OverflowError):
        return 0
