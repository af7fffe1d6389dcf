"""Ctrl-C and SIGTERM in scripts and notebooks, and in commands to their last moment."""

import ctypes
import os
import re
import signal
import subprocess
import sys
import threading
import time

import pytest
from conftest import ROOT, clean_environment

from mindres import signals
from mindres.callbacks.wakeup import answered_at_once
from mindres.native import library

# Evaluates over and over, with a signal to itself at a random moment of each; a notebook's kernel is
# such a process.
KERNEL = """
import os, random, signal, sys, threading, time
import mindres
from mindres.data import Digits

random.seed(1)
net = mindres.create_model("lenet5", num_classes=10, in_channels=3)
data = Digits(split="test", batch_size=12)
handlers = [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)]
started = time.monotonic()
timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))
caught = 0
try:
    timer.start()
    mindres.evaluate(net, data)  # the first one compiles
    time.sleep(1)
except KeyboardInterrupt:
    caught += 1
timer.join()
mindres.evaluate(net, data)
started = time.monotonic()
mindres.evaluate(net, data)
seconds = time.monotonic() - started
for number in range(20):
    timer = threading.Timer(random.uniform(0, seconds), os.kill, (os.getpid(), signal.SIGINT))
    try:
        timer.start()
        mindres.evaluate(net, data)
        time.sleep(1)  # it came too late for this one
    except KeyboardInterrupt:
        caught += 1
    timer.join()
assert [signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)] == handlers
print("caught", caught, mindres.evaluate(net, data).num_images, os.listdir("."))
"""


def test_ctrl_c_in_evaluate_interrupts_it_and_leaves_the_process_alive(run_python):
    done = run_python("-c", KERNEL)
    assert (done.returncode, done.stdout, done.stderr) == (0, "caught 21 360 []\n", "")


ONCE = """
import os, subprocess, threading
import mindres
from mindres.data import Digits
net = mindres.create_model("lenet5", num_classes=10, in_channels=3)
data = Digits(split="test", batch_size=4)
mindres.evaluate(net, data)
kill = ["kill", "-{number}", str(os.getpid())]  # from outside
threading.Timer(0.1, subprocess.run, (kill,)).start()
for _ in range(100):
    mindres.evaluate(net, data)
"""


def test_sigterm_in_evaluate_ends_a_script_as_everywhere(run_python):
    done = run_python("-c", ONCE.format(number=15))
    assert done.returncode == -signal.SIGTERM


def test_sigterm_ends_a_script_that_ignores_ctrl_c(run_python):
    """As every job in the background of a shell script does."""
    code = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)" + ONCE.format(number=15)
    assert run_python("-c", code).returncode == -signal.SIGTERM


def test_ctrl_c_in_evaluate_ends_a_script_with_its_own_status(run_python):
    done = run_python("-c", ONCE.format(number=2))
    assert done.returncode == -signal.SIGINT and "KeyboardInterrupt" in done.stderr


TRAIN = [
    str(ROOT / "examples" / "finetune_resnet50.py"),
    *[
        "--device_target",
        "CPU",
        "--dataset",
        "digits",
        "--arch",
        "lenet5",
        "--resize",
        "32",
        "--pretrained",
        "false",
    ],
    *[
        "--recipe",
        "sgd_mnist",
        "--batch_size",
        "32",
        "--epochs",
        "50",
        "--ckpt_dir",
        "run",
        "--resume",
    ],
]


def press_twice(folder, cache, apart):
    """Start a training, press Ctrl-C twice when it trains, and return how it ends."""
    process = subprocess.Popen(
        [sys.executable, *TRAIN],
        cwd=folder,
        env=clean_environment(MINDRES_CACHE=str(cache)),
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )
    out = ""
    while "Epoch" not in out:
        line = process.stdout.readline()
        assert line or process.poll() is None, process.stderr.read()
        out += line
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(apart)
    rest, err = process.communicate(timeout=60)
    return process.returncode, out + rest, err


@pytest.mark.parametrize("apart", [0.01, 0.2])
def test_twice_within_half_a_second_loses_nothing(tmp_path, own_cache, apart):
    from mindres.weights.formats import read_checkpoint

    status, out, err = press_twice(tmp_path, own_cache, apart)
    assert (status, err) == (130, "mindres: interrupted\n")
    assert "stopping after this step, saving\n" in out
    epoch, step = map(int, re.search(r"interrupted in epoch (\d+) after step (\d+)", out).groups())
    recorded = read_checkpoint(tmp_path / "run" / "last.ckpt")[1]["state"]
    assert (recorded["epoch"], recorded["step"]) == (epoch - 1, step)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run"], "nothing of MindSpore's"


AT_EXIT = """
import atexit, os, signal
from mindres.cli.program import run
def press():
    for number in range(3):
        os.kill(os.getpid(), signal.SIGINT)
atexit.register(press)
run(lambda: {status})
"""


@pytest.mark.parametrize("status", [0, 3])
def test_ctrl_c_in_exit_callbacks_changes_nothing(run_python, status):
    done = run_python("-c", AT_EXIT.format(status=status))
    assert (done.returncode, done.stdout, done.stderr) == (status, "", "")


@pytest.fixture
def came():
    """Installs handlers in Python, and lists the signals that reach them."""
    numbers = []
    before = {
        number: signal.signal(number, lambda number, _: numbers.append(number))
        for number in signals.NUMBERS
    }
    yield numbers
    for number, handler in before.items():
        signal.signal(number, handler)


def test_deferred_signals_come_after_the_block_as_what_they_are(came):
    for number in signals.NUMBERS:
        with signals.signal_handler(), signals.deferred_signals():
            os.kill(os.getpid(), number)
            assert number not in came
    assert came == [signal.SIGINT, signal.SIGTERM]


# A handler that does what MindSpore's does. In C, because Python delays its handlers.
PASS_ON = """
#include <signal.h>
#include <unistd.h>
static void pass_on(int number, siginfo_t *info, void *context) { kill(getpid(), SIGTERM); }
void install(void) {
  struct sigaction action = {.sa_sigaction = pass_on, .sa_flags = SA_RESTART | SA_SIGINFO};
  sigaction(SIGINT, &action, 0);
}
"""


@pytest.fixture(scope="module")
def mindspores_handler(tmp_path_factory):
    """Installs a stand-in for MindSpore's handler."""
    folder = tmp_path_factory.mktemp("handler")
    (folder / "handler.c").write_text(PASS_ON)
    command = ["cc", "-shared", "-fPIC", "-o", folder / "handler.so", folder / "handler.c"]
    subprocess.run(command, check=True)
    return ctypes.CDLL(folder / "handler.so").install


def from_outside(number):
    subprocess.run(["kill", f"-{int(number)}", str(os.getpid())], check=True)


def test_the_handler_in_c_knows_ctrl_c_from_sigterm(came, mindspores_handler):
    library.load()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        with signals.signal_handler(), signals.deferred_signals():
            mindspores_handler()
            from_outside(number)
    assert came == [signal.SIGINT, signal.SIGTERM, signal.SIGINT]


def test_without_it_ctrl_c_is_ctrl_c(came, mindspores_handler, monkeypatch):
    monkeypatch.setattr(signals, "_see_senders", None)
    with signals.signal_handler():
        from_outside(signal.SIGTERM)
        mindspores_handler()
        from_outside(signal.SIGINT)
    from_outside(signal.SIGTERM)
    assert came == [signal.SIGTERM, signal.SIGINT, signal.SIGTERM]


@pytest.mark.parametrize("native", [True, False])
def test_ignored_ctrl_c_stays_ignored(came, mindspores_handler, monkeypatch, native):
    """As in every job in the background of a shell script, which SIGTERM ends."""
    library.load()
    if not native:
        monkeypatch.setattr(signals, "_see_senders", None)
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    with signals.signal_handler(), signals.deferred_signals():
        from_outside(signal.SIGTERM)
        mindspores_handler()
        if native:
            from_outside(signal.SIGINT)
    assert came == [signal.SIGTERM]
    assert signal.getsignal(signal.SIGINT) == signal.SIG_IGN


def test_a_signal_is_answered_once_and_at_once_and_passed_on(came):
    inlet, outlet = os.pipe()
    os.set_blocking(outlet, False)
    before = signal.set_wakeup_fd(outlet)
    answered = threading.Event()
    try:
        with answered_at_once(answered.set):
            os.kill(os.getpid(), signal.SIGTERM)
            assert answered.wait(10)
        assert os.read(inlet, 10) == bytes([signal.SIGTERM])
        assert signal.set_wakeup_fd(before) == outlet
    finally:
        signal.set_wakeup_fd(before)


def test_a_forked_process_does_not_speak_for_its_parent():
    answered = []
    with answered_at_once(lambda: answered.append(1)):
        child = os.fork()
        if not child:
            signal.signal(signal.SIGTERM, lambda *_: None)
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(0)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert not answered
