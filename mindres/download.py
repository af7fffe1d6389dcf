"""Downloads a file, verifies it and resumes interrupted transfers."""

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

ATTEMPTS = 4  # in a row that receive no new bytes

MOST_ATTEMPTS = 30

LONGEST_WAIT_S = 60

# Not OSError, which a full disk raises, too. A redirect to an invalid URL raises ValueError.
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
    """Download `url` to `path` with a progress bar; the file appears once it is verified.

    An interrupted transfer is resumed if the server proves that the file is still the same, and
    else starts over.

    Args:
        md5, sha256: hex digests, or the first digits of one.
        hub: the server is Hugging Face's hub, which must state a SHA-256; it is verified, as it is
            from any server that states one in this way.

    Raises:
        UserError: the file cannot be downloaded, or its digest is another.
    """
    path = Path(path)
    try:
        shown, scheme = without_credentials(url), urllib.parse.urlsplit(url).scheme
    except ValueError as error:
        raise UserError(f"this is not a URL to download from: {error}") from None
    if scheme not in ("http", "https"):
        raise UserError(f"{shown} is not an http or https URL")
    with atomic_write(path) as part:
        transfer = Transfer(url, part, path.name, verified=bool(md5 or sha256), hub=hub)
        useless = 0
        for attempt in range(1, MOST_ATTEMPTS + 1):
            before = part.stat().st_size
            try:
                transfer.attempt()
                break
            except NETWORK_ERRORS as error:
                # A very slow server could otherwise send a few new bytes for ever.
                gained = part.stat().st_size > before and not isinstance(error, TimeoutError)
                useless = 1 if gained else useless + 1
                if (
                    useless == ATTEMPTS
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
    """The seconds to wait by the server's Retry-After header, a number or a date; else 0."""
    headers = getattr(error, "headers", None) or {}
    value = headers.get("Retry-After", "")
    try:
        if value.isdigit():
            return float(value)
        return email.utils.parsedate_to_datetime(value).timestamp() - time.time()
    except (ValueError, OverflowError):
        return 0
