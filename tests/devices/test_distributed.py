"""Two workers started by MindSpore's own launcher, on this machine's CPU."""

import os
import re
import runpy
import shutil
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import mindspore
import numpy as np
import pytest
from conftest import ROOT, clean_environment
from small_networks import add_resnet8

import mindres
from mindres.data.digits import Digits
from mindres.native import library
from mindres.runs.history import read_history
from mindres.weights.formats import read_checkpoint

MSRUN = Path(sys.executable).with_name("msrun")
pytestmark = pytest.mark.skipif(not MSRUN.exists(), reason="msrun is not beside this Python")

WORKER = """
import sys, mindres, small_networks
import numpy as np
from pathlib import Path
from mindspore import Tensor, nn
import mindspore
from mindres.devices import workers as distributed
from mindres.training import optimizers, step as steps
from mindres.training.recipes import make_recipe
from mindres.training.schedules import learning_rates
folder, workers = Path(sys.argv[1]), int(sys.argv[2])
mindres.set_device("CPU")
if workers > 1:
    mindres.start_workers()
mindres.set_seed(5)
mindspore.set_context(mode=mindspore.GRAPH_MODE)
net = small_networks.resnet8()
for _, cell in net.cells_and_names():
    if isinstance(cell, nn.BatchNorm2d):
        cell.use_batch_statistics = False
recipe = make_recipe(epochs=1, lr=0.05, schedule="constant")
step = steps.training_step(net, optimizers.make_optimizer(net, recipe, learning_rates(recipe, 4)), recipe)
step.set_train()
random = np.random.default_rng(0)
for _ in range(4):
    x = random.standard_normal((8, 3, 16, 16)).astype(np.float32)
    y = random.integers(0, 10, 8).astype(np.int32)
    mine = slice(distributed.rank(), None, workers)
    step(Tensor(x[mine]), Tensor(y[mine]))
np.savez(folder / f"{workers}-{distributed.rank()}.npz", **{p.name: p.asnumpy() for p in net.trainable_params()})
"""


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def start(tmp_path, cache, script, *arguments, local=2, flags=(), within=(), **environment):
    """`msrun` for two workers, `local` of them here; `within` is a command that puts it into another network."""
    environment = clean_environment(
        MINDRES_CACHE=str(cache),
        PATH=f"{MSRUN.parent}:{os.environ['PATH']}",
        PYTHONPATH=f"{ROOT}:{ROOT / 'tests'}",
        **environment,
    )
    return subprocess.Popen(
        [
            *within,
            MSRUN,
            "--worker_num",
            "2",
            "--local_worker_num",
            str(local),
            *(flags or ["--master_port", str(free_port())]),
            "--log_dir",
            str(tmp_path / "log"),
            "--join",
            "True",
            str(script),
            *map(str, arguments),
        ],
        cwd=tmp_path,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )


@pytest.fixture
def hosts():
    """Two networks with a cable between them: commands that run something in each, and the first one's address.

    None where they cannot be made, which takes iproute2 and root.
    """
    if not shutil.which("ip") or os.geteuid():
        yield None
        return
    names = [f"mindres-{os.getpid()}-{i}" for i in range(2)]
    setup = [
        f"netns add {names[0]}",
        f"netns add {names[1]}",
        f"link add mr{os.getpid()}a netns {names[0]} type veth peer name mr{os.getpid()}b netns {names[1]}",
    ]
    for i, end in enumerate("ab"):
        setup += [
            f"-n {names[i]} addr add 10.77.0.{i + 1}/24 dev mr{os.getpid()}{end}",
            f"-n {names[i]} link set mr{os.getpid()}{end} up",
            f"-n {names[i]} link set lo up",
        ]
    try:
        for command in setup:
            if subprocess.run(["ip", *command.split()], capture_output=True).returncode:
                yield None
                return
        yield [["ip", "netns", "exec", name] for name in names], "10.77.0.1"
    finally:
        for name in names:
            subprocess.run(["ip", "netns", "del", name], capture_output=True)


def test_two_workers_with_half_the_batch_are_one_with_the_whole(
    tmp_path, own_cache, hosts, monkeypatch
):
    """On two hosts with a worker each, where two networks can be made; else on one."""
    script = tmp_path / "worker.py"
    script.write_text(WORKER)
    jobs = []
    for rank, within in enumerate(hosts[0] if hosts else [()]):
        (tmp_path / str(rank)).mkdir()
        place = {}
        if hosts:
            flags = ["--master_addr", hosts[1], "--master_port", "8118", "--node_rank", str(rank)]
            place = {"local": 1, "flags": flags, "within": within}
        jobs.append(start(tmp_path / str(rank), own_cache, script, tmp_path, 2, **place))
    out = "".join(job.communicate(timeout=300)[0][-2000:] for job in jobs)
    assert not any(job.returncode for job in jobs), out
    monkeypatch.setattr(sys, "argv", [str(script), str(tmp_path), "1"])
    runpy.run_path(str(script))
    one, first, second = (np.load(tmp_path / name) for name in ("1-0.npz", "2-0.npz", "2-1.npz"))
    for name in one:
        assert np.array_equal(first[name], second[name]), name
        np.testing.assert_allclose(first[name], one[name], rtol=1e-5, atol=1e-5)


EXAMPLE = """
import runpy, mindres, pytest, small_networks
small_networks.add_resnet8(pytest.MonkeyPatch())
runpy.run_path({path!r}, run_name="__main__")
"""
FLAGS = [
    *["--distributed", "--device_target", "CPU", "--dataset", "digits", "--pretrained", "false"],
    *["--batch_size", "96", "--lr", "0.02", "--arch"],
]


@pytest.fixture
def example(tmp_path):
    """The path of a script: the example as it is, which knows one small network more."""
    script = tmp_path / "finetune.py"
    script.write_text(EXAMPLE.format(path=str(ROOT / "examples" / "finetune_resnet50.py")))
    return script


def kill_worker(job, rank):
    """SIGKILL for one of the workers that `job`, an `msrun`, has started."""
    children = subprocess.run(["pgrep", "-P", str(job.pid)], capture_output=True, text=True).stdout
    for child in map(Path, (f"/proc/{number}" for number in children.split())):
        named = (child / "environ").read_bytes().split(b"\0")
        if {b"RANK_ID=%d" % rank, b"MS_ROLE=MS_WORKER"} <= {*named}:
            os.kill(int(child.name), signal.SIGKILL)
            return
    raise AssertionError(f"no worker {rank} among {children}")


def test_the_example_counts_every_image_once_goes_on_and_ends_when_a_worker_dies(
    tmp_path, own_cache, example, monkeypatch
):
    folder = tmp_path / "ckpt"
    level = "O2" if library.why_not(mindspore.bfloat16) is None else "O0"
    example = [example, *FLAGS, "resnet8", "--resize", "16", "--epochs", "5000"]
    example += ["--ckpt_dir", folder, "--amp_level", level]
    out, _ = start(tmp_path, own_cache, *example, "--max_steps", "5").communicate(timeout=300)
    assert out.count("Train Loss") == 1, "one worker speaks for all:\n" + out[-2000:]

    # Seconds without a heartbeat after which MindSpore's scheduler takes a worker for dead.
    job = start(tmp_path, own_cache, *example, "--resume", MS_NODE_TIMEOUT="10")
    out = ""
    while out.count("Train Loss") < 2:
        line = job.stdout.readline()
        assert line, out[-2000:]
        out += line
    kill_worker(job, 1)
    died = time.monotonic()
    try:
        out += job.communicate(timeout=120)[0]
    finally:
        if job.poll() is None:
            os.killpg(job.pid, signal.SIGKILL)
    # Within half a minute, unless the machine is busy.
    assert time.monotonic() - died < 80 and job.returncode != 0
    epochs = [int(number) for number in re.findall(r"Epoch: \[ *(\d+) / 5000\], Train Loss", out)]
    assert "resuming from" in out and epochs == list(range(1, len(epochs) + 1))

    read_checkpoint(folder / "last.ckpt")
    add_resnet8(monkeypatch)
    net, metadata = mindres.load_model(folder / "best.ckpt")
    data = Digits(split="test", batch_size=60, resize=16)
    alone = mindres.evaluate(net, data, amp_level=level)
    assert alone.accuracy == pytest.approx(metadata["metric"], abs=1e-6)
    # The confusion matrices and losses of the workers are added up.
    history = read_history(folder / "history.csv")
    epoch = int(metadata.epoch) - 1
    for name, value in {**alone.metrics, "val_loss": alone.loss}.items():
        assert history[name][epoch] == pytest.approx(value, rel=1e-5), name
