"""SIGKILL, SIGTERM and Ctrl-C at random instants of everything that writes a file."""

from __future__ import annotations

import csv
import functools
import hashlib
import os
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
from fault import Fault, clean_environment, expect
from forks import EXAMPLES, forks

from mindres.training.kept_features import KeptFeatures
from mindres.weights.formats import read_checkpoint

TRAIN = [
    EXAMPLES / "finetune_resnet50.py",
    "--arch",
    "lenet5",
    "--pretrained",
    "false",
    "--epochs",
    "4",
    "--lr",
    "0.01",
    "--ckpt_dir",
    "run",
    "--resume",
]
FREEZE = [
    EXAMPLES / "finetune_resnet50.py",
    "--arch",
    "resnet20",
    "--pretrained",
    "false",
    "--epochs",
    "1",
    "--freeze",
    "backbone",
    "--ckpt_dir",
    "run",
    "--resume",
]
# Every value of a checkpoint is its version, so that a mixture of two would show.
SAVE = """
from mindres import save_checkpoint
import numpy as np
from mindres.training.kept_features import KeptFeatures
from mindres.weights.formats import read_checkpoint
start = read_checkpoint("saved.ckpt")[1]["version"]
for version in range(start + 1, start + 9):
    save_checkpoint({f"layer{i}": np.full((64, 500), version, np.float32) for i in range(8)}, "saved.ckpt",
                    version=version)
"""
DOWNLOAD = """
from mindres.download import download
download({url!r}, "fetched.bin", sha256={digest!r})
"""
BODY = bytes(range(256)) * 1000


@dataclass(frozen=True, eq=False)
class Phase:
    """Something that writes files: how to run it, what was there before, and how to tell that all of it is whole."""

    name: str
    command: list | str | Callable[[], str]
    before: Callable[[Path], None]
    whole: Callable[
        [Path], object
    ]  # reads every published file, and returns what must be the same in the end
    tries: int


def nothing(folder) -> None:
    pass


def trained(folder):
    """The history of a run whose checkpoints can all be read."""
    for path in folder.glob("run/*.ckpt"):
        read_checkpoint(path)
    if not (folder / "run" / "history.csv").exists():
        return None
    with open(folder / "run" / "history.csv", newline="") as file:
        return [(row["epoch"], row["loss"], row["accuracy"]) for row in csv.DictReader(file)]


def cached(folder):
    for path in folder.glob("cache/features/*.npy"):
        expect(len(KeptFeatures(path)) > 0, f"{path} is not whole")  # or raises an error
    return trained(folder)


def first_version(folder) -> None:
    from mindres.models.save import save_checkpoint

    save_checkpoint(
        {f"layer{i}": np.zeros((64, 500), np.float32) for i in range(8)},
        folder / "saved.ckpt",
        version=0,
    )


def one_version(folder):
    arrays, metadata = read_checkpoint(folder / "saved.ckpt")
    expect(
        len(arrays) == 8 and all((a == metadata["version"]).all() for a in arrays.values()),
        "versions are mixed",
    )


def old_bytes(name):
    return lambda folder: (folder / name).write_bytes(b"old")


def old_network(folder) -> None:
    import a_run

    from mindres.data.digits import Digits
    from mindres.models.save import save_checkpoint

    data = Digits(split="test")
    save_checkpoint(a_run.network("resnet20"), folder / "best.ckpt", **a_run.metadata(data))
    for name in ("out.ckpt", "out.onnx"):
        (folder / name).write_bytes(b"old")


def new_or_old(name, read):
    """Reads the file with `read` unless it is the old one."""

    def whole(folder):
        if (folder / name).read_bytes() != b"old":
            return read(folder / name)

    return whole


def an_onnx(path):
    import onnx

    onnx.checker.check_model(onnx.load(path), full_check=True)


def a_body(path):
    expect(path.read_bytes() == BODY, "half a download was published")


class Drip(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        try:
            for start in range(0, len(BODY), 16_000):
                self.wfile.write(BODY[start : start + 16_000])
                time.sleep(0.01)
        except OSError:
            pass  # killed, as it should be

    def log_message(self, *args):
        pass


@functools.cache
def dripping() -> str:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Drip)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return DOWNLOAD.format(
        url=f"http://127.0.0.1:{server.server_port}/file", digest=hashlib.sha256(BODY).hexdigest()
    )


PHASES = [
    Phase("training", TRAIN, nothing, trained, 3),
    Phase("saving a checkpoint", SAVE, first_version, one_version, 12),
    Phase("downloading", dripping, old_bytes("fetched.bin"), new_or_old("fetched.bin", a_body), 12),
    Phase(
        "converting",
        ["mindres", "convert", "best.ckpt", "out.ckpt"],
        old_network,
        new_or_old("out.ckpt", read_checkpoint),
        6,
    ),
    Phase(
        "exporting",
        ["mindres", "export", "--ckpt", "best.ckpt", "--out", "out.onnx"],
        old_network,
        new_or_old("out.onnx", an_onnx),
        5,
    ),
    Phase("building the feature cache", FREEZE, nothing, cached, 3),
]
# What a process may end with when it was not done already. Shells call -15 and -2 by 143 and 130 too.
STATUS = {signal.SIGKILL: (-9,), signal.SIGTERM: (143, -15), signal.SIGINT: (130, -2)}
SAYS = {143: "mindres: terminated\n", 130: "mindres: interrupted\n"}


def run(phase, folder):
    command = phase.command() if callable(phase.command) else phase.command
    return forks().start(folder, command, MINDRES_CACHE=forks().cache(folder))


def names(folder):
    return {str(path.relative_to(folder)) for path in folder.rglob("*")}


@functools.cache
def undisturbed(phase):
    """How long the phase takes, what it leaves and what that holds, when nothing happens to it."""
    with tempfile.TemporaryDirectory() as folder:
        phase.before(Path(folder))
        started = time.monotonic()
        done = forks().wait(run(phase, Path(folder)))
        expect(done.returncode == 0, f"{phase.name} fails without a fault: {done.stderr[-300:]}")
        return time.monotonic() - started, names(Path(folder)), repr(phase.whole(Path(folder)))


def strike(phase, number, attempt) -> None:
    seconds, left, holds = undisturbed(phase)
    phase.before(attempt.folder)
    for _ in attempt.times(phase.tries):
        attempt.tries += 1
        child = run(phase, attempt.folder)
        time.sleep(attempt.random.uniform(0, seconds))
        os.kill(child, number)
        done = forks().wait(child)
        expect(
            done.returncode in (0, *STATUS[number]),
            f"status {done.returncode}: {done.stderr[-600:]!r}",
        )
        # MindSpore logs a tensor and a pipeline of data that were interrupted.
        logged = r"^\[(WARNING|ERROR)\] .*?(?=^mindres: |\Z)"
        ours = re.sub(logged, "", done.stderr, flags=re.M | re.S)
        expect(
            ours == SAYS.get(done.returncode, "") and "Traceback" not in done.stderr,
            f"status {done.returncode}, and standard error is {done.stderr[-600:]!r}",
        )
        phase.whole(attempt.folder)
    done = forks().wait(run(phase, attempt.folder))
    expect(done.returncode == 0, f"it does not go on: {done.stderr[-600:]!r}")
    expect(names(attempt.folder) == left, f"left behind: {sorted(names(attempt.folder) ^ left)}")
    expect(
        repr(phase.whole(attempt.folder)) == holds,
        "what it holds is not what an undisturbed run leaves",
    )


def interrupt_imports(attempt) -> None:
    """Ctrl-C while a real process imports MindSpore."""
    for _ in attempt.times(4):
        attempt.tries += 1
        process = subprocess.Popen(
            [sys.executable, "-m", "mindres", "eval", "--ckpt", "missing.ckpt"],
            cwd=attempt.folder,
            env=clean_environment(attempt.folder),
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        while (
            process.poll() is None
            and "mindspore" not in Path(f"/proc/{process.pid}/maps").read_text()
        ):
            time.sleep(0.01)
        time.sleep(attempt.random.uniform(0, 1.5))
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=120)
        missed = process.returncode == 2 and err.startswith(
            "mindres: error: there is no weight file"
        )
        expect(
            missed or (process.returncode, out, err) == (130, "", SAYS[130]),
            f"status {process.returncode}: {err[-600:]!r}",
        )


FAULTS = [
    Fault(
        f"{number.name} while {phase.name}",
        "every file is the old one or the new one; the next run goes on to the same end, and clears up",
        functools.partial(strike, phase, number),
    )
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT)
    for phase in PHASES
]
FAULTS.append(
    Fault("SIGINT while importing MindSpore", "status 130 and one line", interrupt_imports)
)
