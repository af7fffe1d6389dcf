"""What every test gets: a cache and settings of its own, and the fixtures of the files beside this one."""

import gc
import os
import signal

import pytest

# All servers of the tests are on this machine, where no proxy can reach them.
os.environ["no_proxy"] = os.environ["NO_PROXY"] = "127.0.0.1"

# A shell script's background jobs ignore Ctrl-C, and so would the programs that tests start.
if signal.getsignal(signal.SIGINT) == signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)

# Before anything imports MindSpore.
from cuda_stubs import machine, stubs  # noqa: F401
from devtools import browser  # noqa: F401
from file_server import FileServer, http_server  # noqa: F401
from programs import ROOT, Outcome, clean_environment, run_example, run_python  # noqa: F401
from small_data import (  # noqa: F401
    CLASSES,
    SHARED,
    Python2Pickler,
    cifar10_batches,
    made_once,
    packed,
    python2_pickle,
    realdata,
    write_cifar10_binary,
    write_cifar10_python,
)

import mindres


@pytest.fixture(scope="session", autouse=True)
def imports_kept_from_the_garbage_collector():
    """MindSpore collects garbage at every compilation, and would search all imported modules each time."""
    import mindspore  # noqa: F401

    gc.collect()
    gc.freeze()


@pytest.fixture(scope="session")
def native_cache(tmp_path_factory):
    """Where the tests keep the compiled operators, those of all pytest-xdist workers together."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    folder = folder / "native"
    folder.mkdir(exist_ok=True)
    return folder


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
    """Sets MindSpore's mode back after each test."""
    import mindspore

    before = mindspore.get_context("mode")
    yield
    mindspore.set_context(mode=before)


@pytest.fixture(scope="session")
def resnet50_checkpoint(tmp_path_factory):
    """A ResNet-50 of random weights for 1000 classes, saved by MindSpore under MindVision's parameter names."""
    import mindspore

    def make(path):
        mindspore.set_seed(50)
        mindspore.save_checkpoint(mindres.resnet50(), str(path))

    return made_once(tmp_path_factory, "resnet50_224.ckpt", make)
