"""Ctrl-C and SIGTERM in scripts and notebooks, and in commands to their last moment."""

import os
import re
import signal
import subprocess
import sys
import time

import pytest
from conftest import ROOT, clean_environment

from mindres import signals

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
import os, signal, threading
import mindres
from mindres.data import Digits
net = mindres.create_model("lenet5", num_classes=10, in_channels=3)
data = Digits(split="test", batch_size=4)
mindres.evaluate(net, data)
threading.Timer(0.1, os.kill, (os.getpid(), {number})).start()
for _ in range(100):
    mindres.evaluate(net, data)
"""


def test_sigterm_in_evaluate_ends_a_script_as_everywhere(run_python):
    done = run_python("-c", ONCE.format(number=15))
    # SIGINT for what came within a millisecond of MindSpore's handler.
    assert done.returncode in (-signal.SIGTERM, -signal.SIGINT)


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
    noted = read_checkpoint(tmp_path / "run" / "last.ckpt")[1]["state"]
    assert (noted["epoch"], noted["step"]) == (epoch - 1, step)
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


def test_deferred_signals_come_after_the_block_as_what_they_are():
    came = []
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in (2, 15)}
    try:
        for number in (signal.SIGINT, signal.SIGTERM):
            with signals.kept_signal_handlers(), signals.deferred_signals():
                os.kill(os.getpid(), number)
                time.sleep(0.01)
                assert number not in came
        assert came == [signal.SIGINT, signal.SIGTERM]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_handler_of_c_is_put_back_and_its_sigterm_is_ctrl_c():
    """A stand-in for MindSpore's handler, which passes Ctrl-C on as SIGTERM."""
    came = []
    before = {number: signal.signal(number, lambda n, _: came.append(n)) for number in (2, 15)}
    try:
        # On a busy machine the stranger may be gone, and long so, when the signal comes: again then.
        for _ in range(20):
            came.clear()
            with signals.kept_signal_handlers():
                python, stranger = signals._address(signals._installed(2)), signals._installed(2)
                stranger[:8] = (python + 1).to_bytes(8, sys.byteorder)
                signals._sigaction(2, stranger, None)
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.2)
                assert signals._address(signals._installed(2)) == python
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.01)
            if came[0] == signal.SIGINT:
                break
        assert came == [signal.SIGINT, signal.SIGTERM]
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def test_a_forked_process_does_not_speak_for_its_parent():
    answered = []
    with signals.kept_signal_handlers(lambda: answered.append(1)):
        child = os.fork()
        if not child:
            signal.signal(signal.SIGTERM, lambda *_: None)
            os.kill(os.getpid(), signal.SIGTERM)
            os._exit(signals._keeper is not None)
        assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
        time.sleep(0.05)
    assert not answered
