"""Which checkpoints the monitor keeps, and that they are whole whatever happens."""

import json
import subprocess
import sys
from types import SimpleNamespace

import mindspore
import numpy as np
import pytest
from conftest import clean_environment
from mindspore import nn
from mindspore.train.callback import RunContext, _InternalCallbackParam

from mindres.callbacks.monitor import ValAccMonitor
from mindres.errors import UserError
from mindres.weights.formats import read_checkpoint


class Small(nn.Cell):
    """A network of one weight, whose value says which epoch it is from."""

    def __init__(self, arch="small"):
        super().__init__()
        self.weight = mindspore.Parameter(np.zeros(3, np.float32), name="weight")
        self.architecture = {"arch": arch}


def play(folder, accuracies, *, arch="small", dataset="digits", **options):
    """Show a monitor a run with these accuracies, one step an epoch, and return the monitor."""
    net = Small(arch)
    left = iter(accuracies)
    model = SimpleNamespace(
        eval=lambda data, **options: {"Accuracy": next(left)}, train_network=net
    )
    monitor = ValAccMonitor(
        model,
        None,
        len(accuracies),
        ckpt_directory=folder,
        metadata={"dataset": dataset},
        network=net,
        **options,
    )
    state = _InternalCallbackParam()
    state.update(
        batch_num=1,
        epoch_num=len(accuracies),
        train_network=net,
        net_outputs=mindspore.Tensor(1.0),
        train_dataset=SimpleNamespace(get_batch_size=lambda: 4),
        optimizer=SimpleNamespace(
            is_group_lr=False, dynamic_lr=False, learning_rate=mindspore.Tensor(0.1)
        ),
    )
    context = RunContext(state)
    monitor.on_train_begin(context)
    for epoch in range(1, len(accuracies) + 1):
        state.cur_epoch_num = state.cur_step_num = epoch
        net.weight.set_data(mindspore.Tensor(np.full(3, epoch, np.float32)))
        monitor.on_train_epoch_begin(context)
        monitor.on_train_step_end(context)
        monitor.on_train_epoch_end(context)
    monitor.on_train_end(context)
    return monitor


def kept(folder):
    """{file: (metric recorded, epoch recorded)} of the checkpoints in a folder, whose weights are of that epoch."""
    found = {}
    for path in sorted(folder.iterdir()):
        arrays, recorded = read_checkpoint(path)
        assert arrays["weight"].tolist() == [recorded["epoch"]] * 3
        found[path.name] = recorded["metric"], recorded["epoch"]
    return found


def test_the_best_epoch_is_kept(tmp_path, capsys):
    monitor = play(tmp_path, [0.5, 0.7, 0.6, 0.7])
    assert kept(tmp_path) == {"best.ckpt": (0.7, 2)}
    assert monitor.best_res == 0.7 and monitor.best_ckpt_path == tmp_path / "best.ckpt"
    assert f"Best Accuracy: 0.7000, saved in {tmp_path / 'best.ckpt'}" in capsys.readouterr().out


def test_an_accuracy_of_zero_is_kept_too(tmp_path):
    play(tmp_path, [0.0, 0.0])
    assert kept(tmp_path) == {"best.ckpt": (0.0, 1)}


def test_a_better_run_replaces_an_earlier_best(tmp_path):
    play(tmp_path, [0.5])
    play(tmp_path, [0.4, 0.6, 0.55])
    assert kept(tmp_path) == {"best.ckpt": (0.6, 2)}


def test_a_worse_run_leaves_an_earlier_best(tmp_path, capsys):
    play(tmp_path, [0.8])
    before = (tmp_path / "best.ckpt").read_bytes()
    monitor = play(tmp_path, [0.5, 0.7, 0.6])
    assert (tmp_path / "best.ckpt").read_bytes() == before
    assert kept(tmp_path) == {"best.ckpt": (0.8, 1), "best-2.ckpt": (0.7, 2)}
    assert monitor.best_ckpt_path == tmp_path / "best-2.ckpt"
    out = capsys.readouterr().out
    assert "best.ckpt (0.8000) is an earlier run's and was kept; `overwrite` replaces it" in out
    play(tmp_path, [0.6])
    assert kept(tmp_path) == {
        "best.ckpt": (0.8, 1),
        "best-2.ckpt": (0.7, 2),
        "best-3.ckpt": (0.6, 1),
    }


def test_a_run_that_gets_better_late_takes_over_and_tidies_up(tmp_path):
    play(tmp_path, [0.8])
    play(tmp_path, [0.5, 0.7, 0.9])
    assert kept(tmp_path) == {"best.ckpt": (0.9, 3)}


def test_overwrite(tmp_path):
    play(tmp_path, [0.8])
    play(tmp_path, [0.5, 0.4], overwrite=True)
    assert kept(tmp_path) == {"best.ckpt": (0.5, 1)}


@pytest.mark.parametrize("other", [{"arch": "other"}, {"dataset": "mnist"}])
def test_runs_that_cannot_be_compared(tmp_path, other, capsys):
    play(tmp_path, [0.1], **other)
    play(tmp_path, [0.9])
    assert kept(tmp_path) == {"best.ckpt": (0.1, 1), "best-2.ckpt": (0.9, 1)}
    assert (
        "best.ckpt (of another network or dataset) is an earlier run's" in capsys.readouterr().out
    )


@pytest.mark.parametrize("content", [b"", b"somebody else's file", None])
def test_a_foreign_best_is_left_alone(tmp_path, content):
    path = tmp_path / "best.ckpt"
    if content is None:
        mindspore.save_checkpoint(Small(), str(path))
        content = path.read_bytes()
    else:
        path.write_bytes(content)
    play(tmp_path, [0.9])
    assert path.read_bytes() == content and (tmp_path / "best-2.ckpt").exists()


def test_keep_best(tmp_path):
    play(tmp_path, [0.5, 0.8, 0.6, 0.9, 0.7], keep_best=3)
    assert kept(tmp_path) == {
        "best.ckpt": (0.9, 4),
        "best-epoch-2.ckpt": (0.8, 2),
        "best-epoch-5.ckpt": (0.7, 5),
    }


def test_interval_and_first_epoch(tmp_path, capsys):
    monitor = play(tmp_path, [0.3, 0.4, 0.5, 0.6, 0.7], eval_start_epoch=2, interval=2)
    assert [record.metric for record in monitor.history] == [None, 0.3, None, 0.4, None]
    assert kept(tmp_path) == {"best.ckpt": (0.4, 4)}
    assert "Train Loss: [1.0000], lr:" in capsys.readouterr().out
    with pytest.raises(UserError, match="interval"):
        play(tmp_path, [0.1], interval=0)


def test_nothing_is_kept_when_not_asked_for(tmp_path):
    monitor = play(tmp_path / "none", [0.5], save_best_ckpt=False)
    assert (
        monitor.best_res == 0.5
        and monitor.best_ckpt_path is None
        and not (tmp_path / "none").exists()
    )


def test_a_folder_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(UserError, match="cannot write to the folder"):
        play(tmp_path / "file", [0.5])


KILLS = """
import json, os, random, signal, sys, time
import mindres
import mindspore, numpy as np
from mindres.models.save import save_checkpoint
from mindres.weights.formats import read_checkpoint

path, delays = sys.argv[1], json.loads(sys.argv[2])
# Two parameters of the same value: a file of half the old one and half the new one would show.
def write(value):
    data = mindspore.Tensor(np.full(300_000, value, np.float32))
    save_checkpoint({"first": mindspore.Parameter(data), "second": mindspore.Parameter(data)}, path, epoch=value)

write(0)
seen = []
for number, delay in enumerate(delays):
    child = os.fork()
    if not child:
        value = 1000 * (number + 1)
        while True:
            value += 1
            write(value)
    time.sleep(delay)
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
    arrays, recorded = read_checkpoint(path)
    assert set(arrays["first"]) == set(arrays["second"]) == {recorded["epoch"]}, (arrays, recorded)
    seen.append(recorded["epoch"])
print(json.dumps(seen))
"""


def test_a_kill_at_any_instant_leaves_a_whole_checkpoint(tmp_path):
    delays = np.random.default_rng(0).uniform(0.05, 0.4, 12).tolist()
    done = subprocess.run(
        [sys.executable, "-c", KILLS, str(tmp_path / "best.ckpt"), json.dumps(delays)],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    seen = json.loads(done.stdout)
    assert seen == sorted(seen) and len(set(seen)) > 6, "most children lived long enough to write"
