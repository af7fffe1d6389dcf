"""Downloads from servers that lie, stall, cut, lead astray or are not who they say they are."""

from __future__ import annotations

import contextlib
import email.utils
import hashlib
import itertools
import os
import random
import re
import socketserver
import ssl
import subprocess
import threading
import time
import types
from unittest import mock

from fault import Fault, Try, expect, one_line_error

BODY = random.Random(0).randbytes(600_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
OK = b"HTTP/1.1 200 OK\r\n"
WHOLE = OK + b"Content-Length: %d\r\n\r\n" % len(BODY) + BODY
DOWNLOAD = """
import sys
from mindres import download
from mindres.cli import program
program.run(lambda: download.download(*sys.argv[1:3], sha256=sys.argv[3]) and None)
"""


class _Handler(socketserver.BaseRequestHandler):
    def handle(self):
        with contextlib.suppress(OSError):
            asked = b""
            # TLS, where none is spoken, would be waited for.
            while (
                b"\r\n\r\n" not in asked
                and asked[:1] != b"\x16"
                and (part := self.request.recv(4096))
            ):
                asked += part
            if not asked.endswith(b"\r\n\r\n"):
                return
            self.server.asked.append(asked.decode("latin1"))
            answer = self.server.answer
            answer = (
                answer(len(self.server.asked), asked.decode("latin1"))
                if callable(answer)
                else answer
            )
            for part in [answer] if isinstance(answer, bytes) else answer:
                self.request.sendall(part)
                self.server.sent += len(part)


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True
    block_on_close = False

    def handle_error(self, request, client_address):
        """A client that goes away is part of the game."""


@contextlib.contextmanager
def server(answer, context: ssl.SSLContext | None = None):
    """A server that answers every request with these bytes, or these parts, or what a function of them gives.

    The function gets the request's number, from 1, and the request.
    """
    with _Server(("127.0.0.1", 0), _Handler) as it:
        it.answer, it.asked, it.sent = answer, [], 0
        it.url = f"http{'s' if context else ''}://127.0.0.1:{it.server_address[1]}"
        if context:
            it.socket = context.wrap_socket(it.socket, server_side=True)
        threading.Thread(target=it.serve_forever, args=(0.02,), daemon=True).start()
        yield it
        it.shutdown()


@contextlib.contextmanager
def impatient(**limits):
    """`mindres.download` with other limits, that does not wait between attempts but notes how long it would have."""
    from mindres import download, transfer

    limits = {"TIMEOUT_S": transfer.TIMEOUT_S, **limits}
    waited = []
    clock = types.SimpleNamespace(sleep=waited.append, monotonic=time.monotonic, time=time.time)
    with (
        mock.patch.object(download, "time", clock),
        mock.patch.multiple(transfer, **limits),
        mock.patch.dict(os.environ, {"no_proxy": "127.0.0.1"}),
    ):
        yield download, waited


def refused(
    attempt: Try, label: str, url: str, wanted: str, sha256: str | None = SHA256, **limits
) -> None:
    """The download ends with one line that has `wanted`; the file that was there is untouched, and nothing else is."""
    from mindres.errors import UserError

    path = attempt.folder / "file.bin"
    path.write_bytes(b"old")
    with impatient(**limits) as (download, _):
        try:
            download.download(url, path, sha256=sha256)
            said = None
        except UserError as error:
            said = str(error)
    expect(
        said and "\n" not in said and said.isprintable() and re.search(wanted, said),
        f"{label}: it says {said!r}",
    )
    expect(
        os.listdir(attempt.folder) == ["file.bin"] and path.read_bytes() == b"old",
        f"{label}: something is left",
    )
    attempt.tries += 1


def packet(*headers: str, status="200 OK", body=BODY) -> bytes:
    return "\r\n".join([f"HTTP/1.1 {status}", *headers, "", ""]).encode("latin1") + body


LENGTH = f"Content-Length: {len(BODY)}"
CHUNKED = "Transfer-Encoding: chunked"
# What the server sends, and what the error says.
WRONG = {
    "more promised than sent": (packet("Content-Length: 700000"), "600,000 of 700,000 bytes"),
    "less promised than sent": (
        packet("Content-Length: 500000"),
        "damaged or not the published file",
    ),
    "a truncated body": (packet(LENGTH, body=BODY[:1000]), "1,000 of 600,000 bytes"),
    "another file": (packet(LENGTH, body=BODY[::-1]), "damaged or not the published file"),
    "no length and too little": (packet(body=BODY[:1000]), "damaged or not the published file"),
    "nothing at all": (b"", "closed|reset"),
    "noise": (random.Random(1).randbytes(5000), "cannot download"),
    "a greeting": (b"220 ftp.example.org ready\r\n", "cannot download"),
    "a status of letters": (b"HTTP/1.1 OK\r\n\r\n", "cannot download"),
    "a negative status": (b"HTTP/1.1 -200 OK\r\n\r\n", "cannot download"),
    "an endless header": (OK + b"X: " + b"x" * 200_000, "cannot download"),
    "a thousand headers": (packet(*(f"X{i}: x" for i in range(1000))), "cannot download"),
    "a header cut off": (OK + b"Content-Len", "damaged or not the published file"),
    "a length of letters": (
        packet("Content-Length: many", body=b"x"),
        "damaged or not the published file",
    ),
    "a negative length": (
        packet("Content-Length: -1", body=b"x"),
        "damaged or not the published file",
    ),
    "a length of 5,000 digits": (
        packet("Content-Length: " + "9" * 5000, body=b"x"),
        "not the published",
    ),
    "two lengths": (packet("Content-Length: 10", LENGTH), "damaged or not the published file"),
    "chunks of nonsense": (packet(CHUNKED, body=b"zz\r\n" + BODY), "cannot download"),
    "chunks cut off": (packet(CHUNKED, body=b"ffff\r\n" + BODY[:100]), "cannot download"),
    "a chunk without an end": (
        packet(CHUNKED, body=b"7fffffffffffffff\r\n" + BODY),
        "cannot download",
    ),
    "gzip that nobody asked for": (
        packet(LENGTH, "Content-Encoding: gzip"),
        "in an encoding that was not requested",
    ),
    "204": (packet(status="204 No Content", body=b""), "answered 204"),
    "a part that nobody asked for": (
        packet(
            "Content-Range: bytes 5-9/10",
            "Content-Length: 5",
            body=b"56789",
            status="206 Partial Content",
        ),
        "answered 206",
    ),
    **{
        str(code): (packet("Content-Length: 0", status=f"{code} No", body=b""), f"answered {code}")
        for code in (300, 400, 401, 403, 404, 407, 410, 416, 500, 503, 999)
    },
    "a status with colours": (
        packet("Content-Length: 0", status="404 \x1b[31mred\x07", body=b""),
        "answered 404",
    ),
    **{
        f"a redirect to {to[:30]}": (
            packet(f"Location: {to}", "Content-Length: 0", status="302 Found", body=b""),
            said,
        )
        for to, said in (
            ("file:///etc/passwd", "not allowed|not an http"),
            ("ftp://127.0.0.1/a", "not an http"),
            ("data:text/plain,x", "not allowed"),
            ("javascript:x", "not allowed"),
            ("http://[", "Invalid"),
            ("http://" + "a" * 70 + ".invalid/", "cannot download"),
            ("http://\x01\x02/", "cannot download"),
            ("/itself", "infinite loop"),
            ("http://127.0.0.1:99999/", "cannot download"),
        )
    },
}


def wrong_answers(attempt: Try) -> None:
    """Each of `WRONG`, with the hash known and, where the answer itself is wrong, without."""
    for label, (answer, wanted) in WRONG.items():
        for sha256 in (SHA256, None) if "not the published" not in wanted else (SHA256,):
            with server(answer) as site:
                refused(
                    attempt,
                    label,
                    f"{site.url}/a",
                    wanted + "|does not say how long" * (sha256 is None),
                    sha256,
                )
                expect(len(site.asked) <= 12, f"{label}: asked {len(site.asked)} times")
    with server(
        lambda n, _: packet(f"Location: /{n}", "Content-Length: 0", status="302 Found", body=b"")
    ) as site:
        refused(attempt, "redirects that never end", f"{site.url}/a", "infinite loop")
    with server(lambda n, _: [OK + b"\r\n", *[bytes(1 << 16)] * 200]) as site:
        refused(
            attempt, "an endless body", f"{site.url}/a", "sends more than", LARGEST_DOWNLOAD=1 << 20
        )
    for url in (
        "http://[::bad/a",
        "http://127.0.0.1:port/a",
        "http:///a",
        "https:a",
        "file:///etc/passwd",
        "http://a b/",
    ):
        refused(attempt, url, url, "not a URL|not an http|cannot download")


def drip(parts, seconds):
    """These parts, the first at once."""
    for i, part in enumerate(parts):
        time.sleep(seconds * bool(i or not part))
        yield part


def slow_answers(attempt: Try) -> None:
    """Servers that fall silent or send a few bytes at a time, for ever."""
    head = packet(LENGTH, body=b"")
    for label, answer in (
        ("silent from the start", lambda n, _: drip([b""], 30)),
        ("silent after the header", lambda n, _: drip([head, b""], 30)),
        ("silent half-way", lambda n, _: drip([head + BODY[:300_000], b"x"], 30)),
        ("a byte at a time", lambda n, _: itertools.chain([head], drip([b"x"] * 4000, 0.05))),
    ):
        with server(answer) as site:
            started = time.monotonic()
            refused(attempt, label, f"{site.url}/a", "timed out|fewer than", TIMEOUT_S=1)
            expect(
                time.monotonic() - started < 60,
                f"{label}: it took {time.monotonic() - started:.0f} s",
            )


def retry_after(attempt: Try) -> None:
    """The wait is the one that the server asks for, a minute at most, and no less than our own."""
    date = email.utils.formatdate(time.time() + 30, usegmt=True)
    for said, least, most in (
        ("7", 7, 7),
        (date, 25, 30),
        ("100000", 60, 60),
        ("9" * 5000, 1, 60),
        ("-5", 1, 1),
        ("soon", 1, 1),
        ("", 1, 1),
        (email.utils.formatdate(0, usegmt=True), 1, 1),
        ("Fri, 99 Foo 99999 99:99:99 GMT", 1, 1),
        ("\xb2", 1, 1),
    ):
        for status in ("429 Too Many Requests", "503 Busy"):
            busy = packet("Content-Length: 0", f"Retry-After: {said}", status=status, body=b"")
            with (
                server(lambda n, _, busy=busy: busy if n == 1 else WHOLE) as site,
                impatient() as (download, waited),
            ):
                path = download.download(f"{site.url}/a", attempt.folder / "a.bin", sha256=SHA256)
                expect(
                    path.read_bytes() == BODY and len(waited) == 1 and least <= waited[0] <= most,
                    f"Retry-After: {said[:30]}: waited {waited}",
                )
            attempt.tries += 1


def cut_and_resumed(attempt: Try) -> None:
    """Cut at each tenth of the file, in ten downloads and in a single one; a part of another file is not taken."""
    tenth = len(BODY) // 10

    def cut_at(cuts):
        def answer(n, asked):
            found = re.search(r"\r\nRange: bytes=(\d+)-", asked)
            start = int(found[1]) if found and f'If-Range: "{SHA256}"' in asked else 0
            end = next((cut for cut in cuts if cut > start), len(BODY))
            status = (
                f"HTTP/1.1 206 Partial\r\nContent-Range: bytes {start}-{len(BODY) - 1}/{len(BODY)}"
                if start
                else "HTTP/1.1 200 OK"
            )
            head = f'{status}\r\nETag: "{SHA256}"\r\nContent-Length: {len(BODY) - start}\r\n\r\n'
            return head.encode() + BODY[start:end]

        return answer

    for cuts in [[i * tenth] for i in range(1, 10)] + [[i * tenth for i in range(1, 10)]]:
        with server(cut_at(cuts)) as site, impatient() as (download, _):
            path = download.download(f"{site.url}/a", attempt.folder / "a.bin", sha256=SHA256)
            expect(path.read_bytes() == BODY, f"cut at {cuts}: another file")
            expect(
                len(site.asked) == len(cuts) + 1 and site.sent < len(BODY) + 300 * len(site.asked),
                f"cut at {cuts}: {len(site.asked)} requests, {site.sent:,} bytes",
            )
        attempt.tries += 1
    (attempt.folder / "a.bin").unlink()
    head = f'HTTP/1.1 206 Partial\r\nETag: "{SHA256}"\r\nContent-Length: 10\r\n'
    first = packet(LENGTH, f'ETag: "{SHA256}"', body=BODY[:1000])
    for label in (
        "bytes 5-14/600000",
        "bytes 0-9/600000",
        "bytes 1001-1010/600000",
        "octets 1000-1009/2",
        "",
        "\xff",
    ):
        other = f"{head}Content-Range: {label}\r\n\r\n".encode("latin1") + b"0123456789"
        with server(lambda n, _, other=other: first if n == 1 else other) as site:
            refused(attempt, label, f"{site.url}/a", "answered 206", None)


def certificate(folder, name, *options) -> ssl.SSLContext:
    """A server's side of TLS with a certificate that the authority in `folder` has signed, or nobody."""
    key, request, signed = (folder / f"{name}.{ending}" for ending in ("key", "csr", "pem"))
    address = folder / f"{name}.ext"
    address.write_text(f"subjectAltName=IP:{'127.0.0.2' if name == 'other' else '127.0.0.1'}\n")

    def openssl(*arguments):
        subprocess.run(["openssl", *map(str, arguments)], check=True, capture_output=True)

    openssl(
        "req",
        "-newkey",
        "rsa:2048",
        "-nodes",
        "-keyout",
        key,
        "-subj",
        f"/CN={name}",
        *(["-x509", "-days", "9", "-out", signed] if name in ("ca", "self") else ["-out", request]),
    )
    if request.exists():
        openssl(
            "x509",
            "-req",
            "-in",
            request,
            "-CA",
            folder / "ca.pem",
            "-CAkey",
            folder / "ca.key",
            "-out",
            signed,
            "-CAcreateserial",
            "-extfile",
            address,
            "-days",
            "-1" if name == "expired" else "9",
        )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(signed, key)
    return context


def tls(attempt: Try) -> None:
    """A certificate that does not verify is refused for the reason that it has; a good one is accepted."""
    folder = attempt.folder
    certificate(folder, "ca")
    environment = {"SSL_CERT_FILE": str(folder / "ca.pem"), "no_proxy": "127.0.0.1"}

    def download(url):
        return attempt.run("-c", DOWNLOAD, url, folder / "a.bin", SHA256, **environment)

    for name, fault in (
        ("good", ""),
        ("self", "self"),
        ("other", "IP address mismatch"),
        ("expired", "expired"),
    ):
        with server(WHOLE, certificate(folder, name)) as site:
            done = download(f"{site.url}/a")
            if name == "good":
                expect(
                    done.returncode == 0 and (folder / "a.bin").read_bytes() == BODY, done.stderr
                )
                (folder / "a.bin").unlink()
            else:
                one_line_error(done, "certificate cannot be verified", fault)
                expect(
                    not site.asked and not (folder / "a.bin").exists(),
                    f"{name}: something was sent",
                )
        attempt.tries += 1
    with (
        server(WHOLE) as plain,
        server(
            packet(f"Location: {plain.url}/a", "Content-Length: 0", status="302 Found", body=b""),
            certificate(folder, "down"),
        ) as site,
    ):
        one_line_error(download(f"{site.url}/a"), "unencrypted")
        expect(not plain.asked, "the unencrypted server was asked")
        one_line_error(download(plain.url.replace("http:", "https:") + "/a"), "cannot download")
    attempt.tries += 2


def proxies(attempt: Try) -> None:
    """`http_proxy` and `https_proxy` are asked, what `no_proxy` names is not."""
    folder = attempt.folder
    for scheme, bypassed, wanted in (
        ("http", "", "GET http://data.invalid/a"),
        ("http", "data.invalid", None),
        ("https", "", "CONNECT data.invalid:443"),
        ("HTTP", "", "GET http://data.invalid/a"),
    ):
        answer = (
            WHOLE
            if scheme.lower() == "http"
            else b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n"
        )
        with server(answer) as proxy:
            cleared = {f"{kind}_proxy": None for kind in ("http", "https", "all", "no")}
            cleared |= {name.upper(): None for name in cleared}
            cleared |= {f"{scheme.lower()}_proxy": proxy.url, "no_proxy": bypassed}
            done = attempt.run(
                "-c", DOWNLOAD, f"{scheme}://data.invalid/a", folder / "a.bin", SHA256, **cleared
            )
            asked = [request.partition(" HTTP/1")[0].lower() for request in proxy.asked]
            expect(
                asked == ([wanted.lower()] if wanted else []),
                f"{scheme}, no_proxy {bypassed!r}: asked {asked}",
            )
            if scheme.lower() == "http" and wanted:
                expect(
                    done.returncode == 0 and (folder / "a.bin").read_bytes() == BODY, done.stderr
                )
                (folder / "a.bin").unlink()
            else:
                one_line_error(done, "cannot download")
        attempt.tries += 1


FAULTS = [
    Fault(
        "servers that send the wrong thing, or lead elsewhere",
        "one line, nothing left, the old file kept",
        wrong_answers,
    ),
    Fault("servers that stall or drip", "one line, in bounded time", slow_answers),
    Fault("429 and 503 with Retry-After", "honoured up to a minute", retry_after),
    Fault(
        "connections cut at every tenth of the file",
        "resumed: the right file, each byte fetched once",
        cut_and_resumed,
    ),
    Fault("TLS that does not verify, and redirects out of it", "never accepted", tls),
    Fault("proxies of the environment", "honoured", proxies),
]
