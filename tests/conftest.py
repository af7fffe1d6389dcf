"""What the tests share: interpreters of their own, a web server that misbehaves on demand, and small data."""

import hashlib
import io
import os
import pickle
import re
import runpy
import subprocess
import sys
import tarfile
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

# Nothing here is fetched from elsewhere, whatever proxy the machine has.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1"

# Before anything imports MindSpore.
from cuda_stubs import machine, stubs  # noqa: F401

import mindres

ROOT = Path(__file__).resolve().parents[1]
SHARED = ROOT.parent / "shared"
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def clean_environment(**changes):
    """This process's environment without what mindres or a user may have set, plus `changes`."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MINDRES_", "ONEDNN_", "CUDA_", "DISPLAY", "WAYLAND_"))
    }
    return {**kept, "PYTHONPATH": str(ROOT), "MPLBACKEND": "Agg", **changes}


@pytest.fixture(scope="session")
def native_cache(tmp_path_factory):
    """Where the tests keep the compiled convolution, all of them together."""
    return tmp_path_factory.mktemp("native")


@pytest.fixture(autouse=True)
def own_cache(tmp_path_factory, monkeypatch, native_cache):
    """Every test has a cache of its own, and no test sees the user's settings."""
    for name in list(os.environ):
        if name.startswith(("MINDRES_", "DISPLAY")):
            monkeypatch.delenv(name)
    cache = tmp_path_factory.mktemp("cache")
    (cache / "native").symlink_to(native_cache)
    monkeypatch.setenv("MINDRES_CACHE", str(cache))
    return cache


@pytest.fixture(autouse=True)
def own_mode():
    """What a test does to MindSpore's mode ends with it."""
    import mindspore

    before = mindspore.get_context("mode")
    yield
    mindspore.set_context(mode=before)


@pytest.fixture
def run_python(tmp_path, own_cache):
    """Runs a fresh interpreter in `tmp_path`: `run_python("-c", code)` or `run_python(script, "--flag", ...)`."""

    def run(*arguments, timeout=300, **environment):
        environment = clean_environment(**{"MINDRES_CACHE": str(own_cache), **environment})
        return subprocess.run(
            [sys.executable, *map(str, arguments)],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=timeout,
        )

    return run


@dataclass
class Outcome:
    """What a program left behind, whether it ran in this process or in one of its own."""

    returncode: int
    stdout: str
    stderr: str


@pytest.fixture
def run_example(tmp_path, monkeypatch, capfd):
    """Runs a script of examples/ as `__main__` in this process and in `tmp_path`, which saves seconds of imports."""

    def run(script, *arguments):
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(sys, "argv", [script, *map(str, arguments)])
        status = 0
        capfd.readouterr()
        try:
            runpy.run_path(str(ROOT / "examples" / script), run_name="__main__")
        except SystemExit as exit:
            status = exit.code or 0
        return Outcome(status, *capfd.readouterr())

    return run


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
    excess: int = 0  # by how much Content-Length is too large
    requests: list = field(default_factory=list)  # (path, headers) of every request

    def asked(self, path):
        """The headers of each request for `path`."""
        return [headers for requested, headers in self.requests if requested == path]


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        site = self.server.site
        site.requests.append((self.path, dict(self.headers)))
        fault, _, value = (site.faults.get(self.path) or [""]).pop(0).partition(" ")
        if fault == "redirect":
            self.send_response(302)
            self.send_header("Location", value)
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
        self.end_headers()
        self.wfile.write(body[: int(value)] if fault == "cut" else body)

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


@pytest.fixture(scope="session")
def realdata(tmp_path_factory):
    """Real CIFAR-10 and MNIST images, 20 + 10 of each CIFAR-10 class, in their publishers' layouts."""
    unpack = SHARED / "data" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("the real image data is not here")
    folder = tmp_path_factory.mktemp("realdata")
    subprocess.run(
        [
            sys.executable,
            str(unpack),
            "--to",
            str(folder),
            "--train-per-class",
            "20",
            "--test-per-class",
            "10",
        ],
        check=True,
        capture_output=True,
    )
    return folder


def cifar10_batches(train=30, test=12, seed=0):
    """Random images and labels in CIFAR-10's shape: {file name: (uint8 (N, 3072), list of labels)}."""
    rng = np.random.default_rng(seed)
    batches = {}
    for name, count in [
        *((f"data_batch_{i}", train // 5 + (i <= train % 5)) for i in range(1, 6)),
        ("test_batch", test),
    ]:
        batches[name] = (
            rng.integers(0, 256, (count, 3072), np.uint8),
            rng.integers(0, 10, count).tolist(),
        )
    return batches


class Python2Pickler(pickle._Pickler):
    """Writes bytes as a Python 2 `str`, which is what the published pickles hold."""

    def save_bytes(self, value):
        self.write(pickle.BINSTRING + len(value).to_bytes(4, "little") + value)
        self.memoize(value)

    dispatch = pickle._Pickler.dispatch | {bytes: save_bytes}


def python2_pickle(value):
    """`value` as the bytes of a pickle that Python 2 might have written."""
    buffer = io.BytesIO()
    Python2Pickler(buffer, 2).dump(value)
    return buffer.getvalue()


def write_cifar10_python(folder, batches):
    """Write `batches` as CIFAR-10's published pickles and return the folder."""
    folder.mkdir(parents=True)
    for name, (images, labels) in batches.items():
        content = {
            b"batch_label": name.encode(),
            b"labels": labels,
            b"data": images,
            b"filenames": [b"%d.png" % i for i in range(len(labels))],
        }
        (folder / name).write_bytes(python2_pickle(content))
    (folder / "batches.meta").write_bytes(
        python2_pickle(
            {
                b"num_cases_per_batch": 10000,
                b"label_names": [name.encode() for name in CLASSES],
                b"num_vis": 3072,
            }
        )
    )
    return folder


def write_cifar10_binary(folder, batches):
    """Write `batches` as CIFAR-10's published binary files and return the folder."""
    folder.mkdir(parents=True)
    for name, (images, labels) in batches.items():
        np.concatenate([np.array(labels, np.uint8)[:, None], images], 1).tofile(
            folder / f"{name}.bin"
        )
    (folder / "batches.meta.txt").write_text("\n".join(CLASSES) + "\n")
    return folder


def packed(folder):
    """`folder` as the bytes of a .tar.gz that unpacks to its name."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        tar.add(folder, folder.name)
    return buffer.getvalue()


@pytest.fixture(scope="session")
def resnet50_checkpoint(tmp_path_factory):
    """A ResNet-50 of random weights for 1000 classes, saved by MindSpore under MindVision's parameter names."""
    import mindspore

    mindspore.set_seed(50)
    path = tmp_path_factory.mktemp("published") / "resnet50_224.ckpt"
    mindspore.save_checkpoint(mindres.resnet50(), str(path))
    return path
