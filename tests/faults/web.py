"""Requests that attack `mindres serve`: other clients are still answered, and memory stays bounded."""

from __future__ import annotations

import contextlib
import http.client
import io
import json
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from fault import Fault, Try, clean_environment, expect
from PIL import Image

EXPORT = """
import sys, mindres
from mindres.export import proof
proof.SECONDS = 0.01
net = mindres.create_model("lenet5", num_classes=10, in_channels=3)
recorded = {"mean": [0.5] * 3, "std": [0.2] * 3, "input_size": [32, 32]}
mindres.export_model(net, sys.argv[1], metadata=recorded, end_to_end=True)
"""
# A server that waits for requests for two seconds instead of ten and thirty.
SERVE = """
import sys
from mindres.serve import connections, uploads
connections.HEAD_S = uploads.BODY_S = 2.0
from mindres.cli import program
program.main(["serve", sys.argv[1], "--port", "0"])
"""
MEMORY = 1200  # MiB that the server may have at most
HEAD = "POST /predict HTTP/1.1\r\nHost: x\r\n"


class Server:
    """A server in a process of its own."""

    def __init__(self, attempt: Try):
        file = attempt.folder / "net.onnx"
        done = attempt.run("-c", EXPORT, file)
        expect(done.returncode == 0, done.stderr[-600:])
        self.process = subprocess.Popen(
            [sys.executable, "-c", SERVE, str(file)],
            env=clean_environment(attempt.folder),
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        line = self.process.stdout.readline()
        expect("listening on" in line, "the server does not start")
        self.port = int(line.split()[2].rpartition(":")[2])

    def connect(self) -> socket.socket:
        return socket.create_connection(("127.0.0.1", self.port), timeout=20)

    def send(self, *parts: bytes | str) -> bytes:
        """The answer to these bytes, until the server closes the connection or is silent."""
        answer = b""
        with self.connect() as connection, contextlib.suppress(OSError):
            for part in parts:
                connection.sendall(part.encode() if isinstance(part, str) else part)
            while received := connection.recv(65536):
                answer += received
                if b"\r\n\r\n" in answer:
                    break
        return answer

    def answers(self) -> None:
        """The server still answers an honest request, is alone, and has little memory."""
        for _ in range(5):
            connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
            connection.request("POST", "/predict", picture())
            answer = connection.getresponse()
            if answer.status != 503:
                break
            time.sleep(int(answer.headers["Retry-After"]))  # as the server asks for
        expect(answer.status == 200, f"an honest request is answered with {answer.status}")
        expect(len(json.load(answer)[0]["predictions"]) == 3, "an honest request has no answer")
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        peak = next(int(line.split()[1]) for line in status.splitlines() if "VmHWM" in line) >> 10
        expect(peak < MEMORY, f"the server took {peak} MiB")


@contextlib.contextmanager
def server(attempt: Try):
    started = Server(attempt)
    try:
        yield started
        started.answers()
        started.process.terminate()
        expect(started.process.wait(70) == 0, "SIGTERM does not end it with status 0")
    finally:
        started.process.kill()


def picture() -> bytes:
    out = io.BytesIO()
    Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(out, "PNG")
    return out.getvalue()


def bombs(attempt: Try) -> None:
    """Files of few bytes and many pixels, in several formats, thirty at once."""
    bodies = []
    for kind, mode, side in [
        ("PNG", "1", 30_000),
        ("PNG", "L", 7_400),
        ("GIF", "L", 16_000),
        ("TIFF", "1", 30_000),
    ]:
        out = io.BytesIO()
        options = {"compression": "group4"} if kind == "TIFF" else {}
        Image.new(mode, (side, side)).save(out, kind, **options)
        bodies.append(out.getvalue())
    with server(attempt) as site:
        for _ in attempt.times(3):
            for body in bodies:
                sent = [site.connect() for _ in range(8)]
                for each in sent:
                    each.sendall(f"{HEAD}Content-Length: {len(body)}\r\n\r\n".encode() + body)
                for each in sent:
                    expect(
                        each.recv(64).startswith((b"HTTP/1.1 422", b"HTTP/1.1 200")),
                        "a bomb is not answered",
                    )
                    each.close()
                    attempt.tries += 1
            site.answers()


def bodies(attempt: Try) -> None:
    """Bodies that never end, that drip, and whose length is a lie."""
    with server(attempt) as site:
        chunk = b"100000\r\n" + bytes(1 << 20) + b"\r\n"
        endless = site.send(f"{HEAD}Transfer-Encoding: chunked\r\n\r\n", *[chunk] * 80)
        expect(not endless or b" 413 " in endless, f"an endless body: {endless[:60]!r}")
        expect(b" 413 " in site.send(f"{HEAD}Content-Length: {1 << 40}\r\n\r\n"), "a huge length")
        for length in ("-1", "x", "1e3", "5, 6", "9" * 400):
            answer = site.send(f"{HEAD}Content-Length: {length}\r\n\r\nabc")
            expect(answer[9:12] in (b"400", b"413"), f"length {length[:20]}: {answer[:60]!r}")
        started = time.monotonic()
        dripping = [site.connect() for _ in range(60)]
        for each in dripping:
            each.sendall(f"{HEAD}Content-Length: 1000\r\n\r\n".encode())
        heads = [site.connect() for _ in range(60)]
        while time.monotonic() < started + 5:
            for each in (*dripping, *heads):
                with contextlib.suppress(OSError):
                    each.sendall(b"a")
            site.answers()
            time.sleep(0.3)
        answers = [each.recv(64) for each in dripping]
        expect(all(b" 408 " in each for each in answers), f"dripping bodies: {set(answers)}")
        for each in (*dripping, *heads):
            each.close()
    attempt.tries += 127


def connections(attempt: Try) -> None:
    """A thousand connections at once that say nothing, and a thousand that ask at once."""
    with server(attempt) as site:
        for beginning in (b"", b"GET / HT"):
            silent = []
            for _ in range(1000):
                silent.append(site.connect())
                silent[-1].sendall(beginning)
            site.answers()
            for each in silent:
                each.close()
        asking = [site.connect() for _ in range(1000)]
        for each in asking:
            with contextlib.suppress(OSError):
                each.sendall(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        for each in asking:
            each.close()
        site.answers()
    attempt.tries += 3000


def wrong_requests(attempt: Try) -> None:
    """Wrong types, methods and forms, paths that lead elsewhere, and bytes that are no HTTP."""
    paths = [
        "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd",
        "//etc/passwd",
        "/page.html",
        "/\\..\\x",
    ]
    with server(attempt) as site:
        for path in paths:
            answer = site.send(f"GET {path} HTTP/1.1\r\nHost: x\r\n\r\n")
            expect(answer[9:12] in (b"404", b"400"), f"{path}: {answer[:60]!r}")
        for method in ("PUT", "DELETE", "GET", "TRACE", "CONNECT"):
            answer = site.send(f"{method} /predict HTTP/1.1\r\nHost: x\r\n\r\n")
            expect(answer[9:12] in (b"405", b"404", b"400"), f"{method}: {answer[:60]!r}")
        for kind in (
            "multipart/form-data",
            "multipart/form-data; boundary=",
            "multipart/form-data; boundary=x",
        ):
            answer = site.send(
                f"{HEAD}Content-Type: {kind}\r\nContent-Length: 9\r\n\r\n--x\r\n\r\nab"
            )
            expect(answer[9:12] in (b"400", b"422"), f"{kind}: {answer[:60]!r}")
        answer = site.send(f"GET / HTTP/1.1\r\nX: {'a' * 100_000}\r\n\r\n")
        expect(not answer or answer[9:12] == b"400", f"a large head: {answer[:60]!r}")
        for _ in attempt.times(40):
            noise = attempt.random.randbytes(attempt.random.randrange(1, 3000))
            site.send(noise + b"\r\n\r\n")
            body = bytearray(picture())
            for _ in range(5):
                body[attempt.random.randrange(len(body))] = attempt.random.randrange(256)
            answer = site.send(f"{HEAD}Content-Length: {len(body)}\r\n\r\n", bytes(body))
            expect(answer[9:12] in (b"200", b"422"), f"a damaged image: {answer[:60]!r}")
            attempt.tries += 2
    attempt.tries += 15


BOUNDED = f"refused in words; others are answered, under {MEMORY} MiB"
FAULTS = [
    Fault("images of few bytes and many pixels, sent to the server", BOUNDED, bombs),
    Fault("bodies that are endless, drip, or lie about their length", BOUNDED, bodies),
    Fault(
        "1,000 connections at once, silent or asking",
        "others are answered, or told when to try again",
        connections,
    ),
    Fault("wrong paths, methods, forms, images and noise", BOUNDED, wrong_requests),
]
