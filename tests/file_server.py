"""A web server on this machine that can be told to misbehave."""

import contextlib
import hashlib
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest


@dataclass
class FileServer:
    """A web server for `files` (path to bytes) that can be told to misbehave."""

    url: str
    files: dict[str, bytes] = field(default_factory=dict)
    # What is done to the next answers for a path, one each: "cut 1000" closes the connection after so many bytes
    # of the body, "503" answers with that status, "redirect URL" sends the client elsewhere.
    faults: dict[str, list[str]] = field(default_factory=dict)
    ranges: bool = True  # whether Range and If-Range are honoured
    etags: bool = True  # whether answers carry an ETag
    lengths: bool = True  # whether answers carry Content-Length
    headers: dict[str, dict[str, str]] = field(default_factory=dict)  # further ones, by path
    excess: int = 0  # by how much Content-Length is too large
    requests: list = field(default_factory=list)  # (path, headers) of every request

    def asked(self, path):
        """The headers of each request for `path`."""
        return [headers for requested, headers in self.requests if requested == path]


class _Handler(BaseHTTPRequestHandler):
    def handle(self):
        with contextlib.suppress(ConnectionError):  # clients may go away in the middle of an answer
            super().handle()

    def do_GET(self):
        site = self.server.site
        site.requests.append((self.path, dict(self.headers)))
        fault, _, value = (site.faults.get(self.path) or [""]).pop(0).partition(" ")
        if fault == "redirect":
            self.send_response(302)
            self.send_header("Location", value)
            self._send_further()
            return self.end_headers()
        if fault.isdigit() or self.path not in site.files:
            return self.send_error(int(fault or 404))
        body = site.files[self.path]
        etag = f'"{hashlib.sha256(body).hexdigest()}"' if site.etags else None
        wanted = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", ""))
        if wanted and site.ranges and self.headers.get("If-Range", etag) == etag:
            start = int(wanted[1])
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
            body = body[start:]
        else:
            self.send_response(200)
        if etag:
            self.send_header("ETag", etag)
        if site.lengths:
            self.send_header("Content-Length", str(len(body) + site.excess))
        self._send_further()
        self.end_headers()
        self.wfile.write(body[: int(value)] if fault == "cut" else body)

    def _send_further(self):
        for name, value in self.server.site.headers.get(self.path, {}).items():
            self.send_header(name, value)

    def log_message(self, *args):
        pass


@pytest.fixture
def http_server():
    """A `FileServer` on this machine."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    server.site = FileServer(f"http://127.0.0.1:{server.server_port}")
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield server.site
    server.shutdown()
    thread.join()
    server.server_close()
