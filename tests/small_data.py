"""Small data sets in their publishers' layouts: random CIFAR-10, and real images where they are at hand."""

import fcntl
import io
import os
import pickle
import subprocess
import sys
import tarfile

import numpy as np
import pytest
from programs import ROOT

SHARED = ROOT.parent / "shared"
CLASSES = ["airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"]


def made_once(tmp_path_factory, name, make):
    """The path of what `make(path)` writes, for all pytest-xdist workers together."""
    base = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        base = base.parent
    path = base / name
    with open(base / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            partial = base / f"partial-{name}"
            make(partial)
            partial.rename(path)
    return path


@pytest.fixture(scope="session")
def realdata(tmp_path_factory):
    """Real CIFAR-10 and MNIST images, 20 + 10 of each CIFAR-10 class, in their publishers' layouts."""
    unpack = SHARED / "data" / "unpack.py"
    if not unpack.is_file():
        pytest.skip("the real image data is not here")
    counts = ["--train-per-class", "20", "--test-per-class", "10"]

    def make(folder):
        command = [sys.executable, str(unpack), "--to", str(folder), *counts]
        subprocess.run(command, check=True, capture_output=True)

    return made_once(tmp_path_factory, "realdata", make)


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
