"""The transfer of a file from a server: requests, redirects, resumption and completeness."""

from __future__ import annotations

import re
import time
import urllib.error
import urllib.request
from pathlib import Path

from tqdm import tqdm

from mindres.addresses import without_credentials
from mindres.errors import UserError

TIMEOUT_S = 30

SLOWEST = 1000  # bytes per second over TIMEOUT_S: a very slow server never times out

LARGEST_DOWNLOAD = 4 << 30  # the largest published weights are VGG-16's, 0.6 GB


class Transfer:
    """A download that can be resumed.

    Attributes:
        validator: ETag or Last-Modified of the file; None if the transfer cannot be resumed.
        stated_sha256: the SHA-256 that the server states, or None.
    """

    def __init__(self, url: str, part: Path, label: str, verified: bool, hub: bool = False):
        self.url, self.part, self.label, self.verified = url, part, label, verified
        self.hub = hub
        self.validator: str | None = None
        self.stated_sha256: str | None = None

    def attempt(self) -> None:
        """Request the missing part of the file and write it."""
        have = self.part.stat().st_size if self.validator else 0
        request = _Request(self.url, self._headers(have), [])
        with _OPENER.open(request, timeout=TIMEOUT_S) as response:
            self._check_digest([*request.answers, response.headers])
            have = self._start(response, have)
            etag = response.headers.get("ETag")
            strong = etag and not etag.startswith("W/")
            self.validator = etag if strong else response.headers.get("Last-Modified")
            self._receive(response, have, self._length(response, have))

    def _headers(self, have: int) -> dict[str, str]:
        headers = {"User-Agent": "mindres", "Accept-Encoding": "identity"}
        if have:
            headers.update({"Range": f"bytes={have}-", "If-Range": self.validator or ""})
        return headers

    def _check_digest(self, answers: list) -> None:
        """Take the SHA-256 that one of the `answers` states; the hub must state one."""
        self.stated_sha256 = _stated_sha256(answers)
        if self.hub and not self.stated_sha256:
            raise UserError(
                f"{without_credentials(self.url)} does not state the file's SHA-256, as Hugging "
                "Face's hub does in X-Linked-ETag: download the file by hand and name its path"
            )

    def _start(self, response, have: int) -> int:
        """The byte at which `response` starts; `have` was requested."""
        headers = response.headers
        beginning = f"bytes {have}-"
        resumed = response.status == 206 and headers.get("Content-Range", "").startswith(beginning)
        if response.status != 200 and not (have and resumed):
            self.validator = None
            raise ConnectionError(
                f"the server answered {response.status} without the requested bytes"
            )
        if headers.get("Content-Encoding", "identity") != "identity":
            raise UserError(
                f"{without_credentials(self.url)} is sent in an encoding that was not requested "
                f"({headers['Content-Encoding']}): download it by hand"
            )
        return have if resumed else 0

    def _length(self, response, have: int) -> int | None:
        """The length of the whole file; None if it is not stated and not needed."""
        if response.length is not None:
            return have + response.length
        if response.chunked or self.verified or self.stated_sha256:
            return None
        raise UserError(
            f"{without_credentials(self.url)} does not state its length, so an incomplete transfer "
            "could not be noticed: download it by hand"
        )

    def _receive(self, response, have: int, length: int | None) -> None:
        """Write the file from byte `have` on."""
        bar = tqdm(
            desc=self.label, total=length, initial=have, unit="B", unit_scale=True, disable=None
        )
        with open(self.part, "r+b") as file, bar:
            file.seek(have)
            file.truncate()
            mark, start = time.monotonic(), have
            while chunk := response.read1(1 << 18):
                file.write(chunk)
                bar.update(len(chunk))
                if file.tell() > LARGEST_DOWNLOAD:
                    raise UserError(
                        f"{without_credentials(self.url)} sends more than {LARGEST_DOWNLOAD:,} "
                        "bytes, more than any data set or weights: name another URL"
                    )
                if time.monotonic() - mark > TIMEOUT_S:
                    if file.tell() - start < SLOWEST * TIMEOUT_S:
                        raise TimeoutError(
                            f"the server sends fewer than {SLOWEST:,} bytes per second"
                        )
                    mark, start = time.monotonic(), file.tell()
            if length is not None and file.tell() < length:
                raise ConnectionError(
                    f"the connection closed after {file.tell():,} of {length:,} bytes"
                )

    def worth_another_try(self, error: Exception) -> bool:
        if isinstance(error, urllib.error.HTTPError):
            return error.code in (408, 429, 500, 502, 503, 504)
        return self.part.stat().st_size > 0


class _Request(urllib.request.Request):
    """A request with the headers of the responses that redirected to it."""

    def __init__(self, url: str, headers: dict, answers: list):
        super().__init__(url, headers=headers)
        self.answers = answers


class _NoDowngrade(urllib.request.HTTPRedirectHandler):
    """Follow redirects, but never from https to anything less, nor to another protocol."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if not newurl.startswith(("http:", "https:")):
            raise UserError(
                f"{without_credentials(req.full_url)} redirects to {without_credentials(newurl)}, "
                "which is not an http or https URL: refused"
            )
        if req.full_url.startswith("https:") and not newurl.startswith("https:"):
            raise UserError(
                f"{without_credentials(req.full_url)} redirects to the unencrypted URL "
                f"{without_credentials(newurl)}: refused"
            )
        following = super().redirect_request(req, fp, code, msg, headers, newurl)
        req.answers.append(headers)
        return _Request(following.full_url, following.headers, req.answers)


_OPENER = urllib.request.build_opener(_NoDowngrade)


def _stated_sha256(answers: list) -> str | None:
    """The SHA-256 of the file that one of the responses `answers` states, or None.

    Hugging Face's hub states it in the redirect to its storage of large files.
    """
    for headers in answers:
        if found := re.fullmatch(r'(?:W/)?"?([0-9a-f]{64})"?', headers.get("X-Linked-ETag", "")):
            return found[1]
    return None
