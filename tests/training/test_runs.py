"""Runs that stop anywhere and go on: the same losses as the run that was never stopped, and nothing lost."""

import csv
import dataclasses
import io
import json
import os
import random
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from types import SimpleNamespace

import mindspore
import numpy as np
import pytest
from conftest import ROOT, clean_environment
from PIL import Image
from small_networks import add_resnet8

import mindres
from mindres.callbacks.interrupt import Interrupt
from mindres.callbacks.last_checkpoint import LastCheckpoint
from mindres.data.digits import Digits
from mindres.errors import UserError
from mindres.evaluation.metrics import METRICS
from mindres.runs.config import text_of_config
from mindres.runs.folder import RunFolder
from mindres.runs.history import EpochRecord, read_history, write_history
from mindres.training.recipes import make_recipe
from mindres.weights.formats import read_checkpoint

COLUMNS = ("epoch", "loss", "accuracy", "lr")


def history(folder):
    with open(folder / "history.csv", newline="") as file:
        return [tuple(float(row[name]) for name in COLUMNS) for row in csv.DictReader(file)]


def train(folder, network="lenet5", seed=3, batch_size=144, **options):
    """Train in epochs of nine steps, unless `batch_size` says otherwise."""
    mindres.set_seed(seed)
    net = mindres.create_model(network, num_classes=10, in_channels=3)
    data = {split: Digits(split=split, batch_size=batch_size) for split in ("train", "test")}
    options = {"epochs": 3, "lr": 0.05, **options}
    return net, mindres.train(net, data["train"], data["test"], ckpt_dir=folder, **options)


# Moving average, accumulation, clipping and Adam keep state of their own, and so does one cycle.
PARTS = {
    "ema": 0.9,
    "accumulate": 2,
    "clip_norm": 1.0,
    "optimizer": "adam",
    "schedule": "onecycle",
    "lr": 0.002,
}


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """A run that nothing stopped: its folder, its losses, what `train` returned, and TensorBoard's folder."""
    folder, board = tmp_path_factory.mktemp("whole"), tmp_path_factory.mktemp("board")
    net, result = train(folder, tensorboard=board, **PARTS)
    return SimpleNamespace(
        folder=folder, history=history(folder), net=net, result=result, board=board
    )


@pytest.fixture
def finished(tmp_path, whole):
    """A folder with a copy of that run."""
    return shutil.copytree(whole.folder, tmp_path / "finished")


def test_a_run_goes_on_with_the_same_losses(tmp_path, capsys, whole):
    """Stopped after one step, before an epoch ends, and within the next one, when its folder moves."""
    first, second = tmp_path / "a", tmp_path / "b"
    train(first, max_steps=1, resume=True, **PARTS)
    assert "starting from the beginning" in capsys.readouterr().out
    train(first, max_steps=7, seed=97, resume=True, **PARTS)
    train(first, max_steps=4, seed=98, resume=True, **PARTS)
    first.rename(second)
    _, result = train(second, seed=99, resume=True, **PARTS)
    said = re.findall(r"resuming from .*ckpt: (epoch \d, step \d)\n", capsys.readouterr().out)
    assert said == ["epoch 1, step 2", "epoch 1, step 9", "epoch 2, step 4"]
    assert history(second) == whole.history
    assert result.best == whole.result.best and result.best_ckpt_path == second / "best.ckpt"
    once, again = (read_checkpoint(folder / "best.ckpt")[0] for folder in (whole.folder, second))
    assert all(np.array_equal(once[name], again[name]) for name in once)


def test_a_signal_in_the_last_step_of_an_epoch_comes_after_its_validation(
    tmp_path, monkeypatch, whole
):
    def request(self, run_context):
        if run_context.original_args().cur_step_num == 9:
            self.requested = KeyboardInterrupt()

    with monkeypatch.context() as patch:
        patch.setattr(Interrupt, "on_train_step_begin", request)
        with pytest.raises(KeyboardInterrupt):
            train(tmp_path, **PARTS)
    state = read_checkpoint(tmp_path / "last.ckpt")[1]["state"]
    assert (state["epoch"], state["step"], len(state["history"])) == (1, 0, 1)
    train(tmp_path, resume=True, **PARTS)
    assert history(tmp_path) == whole.history


def test_a_checkpoint_with_all_steps_of_an_epoch_goes_on_with_the_next(tmp_path, monkeypatch):
    """Version 0.1.0 left such ones when it was stopped in the last step of an epoch."""
    train(tmp_path, epochs=2, max_steps=8)
    monkeypatch.setattr(
        LastCheckpoint, "restore", with_one_step_more(LastCheckpoint.restore), raising=True
    )
    _, result = train(tmp_path, epochs=2, resume=True)
    assert [record.epoch for record in result.epochs] == [2]


def with_one_step_more(restore):
    def restored(self):
        restore(self)
        self.step += 1

    return restored


def test_what_a_run_leaves(whole):
    config = json.loads((whole.folder / "config.json").read_text())
    assert config["epochs"] == 3 and config["recipe"] == "tutorial" and config["command"]
    assert config["environment"]["mindspore"] == mindspore.__version__
    arrays, metadata = read_checkpoint(whole.folder / "last.ckpt")
    assert metadata["state"]["epoch"] == 3 and metadata["architecture"]["arch"] == "lenet5"
    assert {"optimizer.moment1.head.dense.weight", "optimizer.ema.steps"} <= arrays.keys()


@pytest.mark.parametrize(
    "program, called",
    [
        ("/opt/python/site-packages/mindres/__main__.py", "mindres"),
        ("/usr/bin/mindres", "mindres"),
        ("examples/train_cifar10.py", "examples/train_cifar10.py"),
    ],
)
def test_the_command_of_a_run_can_be_typed_again(monkeypatch, program, called):
    monkeypatch.setattr(sys, "argv", [program, "train", "my photos"])
    recorded = json.loads(text_of_config({}, "1a2b", 0))["command"]
    assert recorded == f"{called} train 'my photos'"


RUN = """
import sys, mindres
sys.path[:0] = {tests!r}
from pathlib import Path
from mindres.cli.program import run
mindres.set_device("CPU")
from test_runs import train
options = {{"epochs": {epochs}, "lr": 0.01, "batch_size": 32}}
run(lambda: train(Path({folder!r}), resume=True, **options) and None)
"""


def start(folder, cache, epochs=25, **kwargs):
    code = RUN.format(
        tests=[str(ROOT / "tests"), str(ROOT / "tests" / "training")],
        folder=str(folder),
        epochs=epochs,
    )
    return subprocess.Popen(
        [sys.executable, "-c", code],
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(MINDRES_CACHE=str(cache)),
        **kwargs,
    )


def test_kills_change_nothing(tmp_path, own_cache):
    """SIGKILL at random moments of training, validating and saving; `make test-long` kills twenty times."""
    wanted = int(os.environ.get("TEST_KILLS", "1"))
    epochs = 3 * wanted + 1  # a process has trained one when it is killed, and two more at the most
    train(tmp_path / "whole", epochs=epochs, lr=0.01, batch_size=32)
    random.seed(1)
    kills = 0
    for _ in range(60):
        process = start(tmp_path / "killed", own_cache, epochs)
        before = (tmp_path / "killed" / "last.ckpt").exists()
        if kills < wanted:
            # Wait until it trains, so that the kill does not only ever meet the imports.
            while process.poll() is None and "Epoch" not in process.stdout.readline():
                pass
            time.sleep(random.uniform(0, 0.4))
            process.kill()
            process.communicate()
            kills += process.returncode == -signal.SIGKILL
            if (tmp_path / "killed" / "last.ckpt").exists() or before:
                read_checkpoint(tmp_path / "killed" / "last.ckpt")
        if process.poll() is None or process.returncode == 0:
            assert process.communicate(timeout=300)[1] == ""
            break
    assert process.returncode == 0 and kills == wanted
    assert history(tmp_path / "killed") == history(tmp_path / "whole")
    # What a killed process left half written is cleared away by the next one.
    assert {path.name for path in (tmp_path / "killed").iterdir()} == {
        path.name for path in (tmp_path / "whole").iterdir()
    }


@pytest.mark.parametrize(
    "number, status, word",
    [(signal.SIGINT, 130, "interrupted"), (signal.SIGTERM, 143, "terminated")],
)
def test_control_c_saves_and_says_how_to_go_on(tmp_path, own_cache, number, status, word):
    process = start(tmp_path / "run", own_cache, epochs=400)
    while "Epoch" not in process.stdout.readline():
        assert process.poll() is None
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert process.returncode == status
    assert "saved in" in out and "--resume" in out
    assert err == f"mindres: {word}\n"
    state = read_checkpoint(tmp_path / "run" / "last.ckpt")[1]["state"]
    assert len(state["losses"]) == state["step"] and state["epoch"] + state["step"] > 0


def test_one_run_at_a_time_trains_in_a_folder(tmp_path):
    with RunFolder(tmp_path).locked():
        with pytest.raises(UserError, match="another run is training in"):
            train(tmp_path, max_steps=1)
        assert not list(tmp_path.iterdir())
    with RunFolder(tmp_path).locked():
        pass


def test_a_full_disk_leaves_the_old_checkpoint(finished):
    before = {path.name: path.read_bytes() for path in finished.glob("*.ckpt")}
    handler = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, limits[1]))
    try:
        with pytest.raises(UserError, match=r"cannot write .*\.ckpt.*unchanged"):
            train(finished, epochs=1, lr=0.1, overwrite=True)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, handler)
    assert {path.name: path.read_bytes() for path in finished.glob("*.ckpt")} == before
    assert {path.name for path in finished.iterdir()} == {*before, "history.csv", "config.json"}


def test_a_folder_removed_while_the_records_are_written_is_made_again(tmp_path, monkeypatch, whole):
    folder = tmp_path / "run"
    monitor = SimpleNamespace(
        chief=True,
        history=[EpochRecord(1, 2.0, 0.5, 0.1, 80.0, 3.0)],
        metadata={},
        network=whole.net,
        set_run=lambda run: None,
        state=dict,
    )
    weights = whole.net.parameters_dict()
    last = LastCheckpoint(weights, {}, monitor, folder, {"epochs": 1}, {}, seed=0)
    last.save()

    removed = []

    def remove_first(path, records):
        write_history(path, records)
        if not removed:
            removed.append(shutil.rmtree(folder))

    monkeypatch.setattr("mindres.callbacks.last_checkpoint.write_history", remove_first)
    last.save()
    names = ["config.json", "history.csv", "last.ckpt"]
    assert removed and sorted(path.name for path in folder.iterdir()) == names
    assert history(folder) == [(1, 2.0, 0.5, 0.1)]


def test_a_loss_that_is_not_finite_ends_the_run(tmp_path):
    with pytest.raises(UserError, match=r"in epoch 1, step \d+, at learning rate 1e\+30"):
        train(tmp_path, lr=1e30, min_lr=0)
    assert not (tmp_path / "best.ckpt").exists()


def test_the_best_is_selected_by_another_metric(tmp_path, capsys, monkeypatch):
    """Accuracy rises while macro F1 falls: the metric that selects decides on the checkpoint, and on stopping."""
    accuracy = iter([0.2, 0.4, 0.6, 0.8, 0.9])
    f1 = iter([0.5, 0.4, 0.3, 0.2, 0.1])
    for name, values in (("accuracy", accuracy), ("macro_f1", f1)):
        row = dataclasses.replace(METRICS[name], value=lambda _, values=values: next(values))
        monkeypatch.setitem(METRICS, name, row)
    _, result = train(tmp_path, epochs=5, select="macro_f1", patience=3)
    assert len(result.epochs) == 4 and result.best == 0.5
    assert [record.metric for record in result.epochs] == [0.5, 0.4, 0.3, 0.2]
    metadata = read_checkpoint(tmp_path / "best.ckpt")[1]
    assert (metadata.epoch, metadata.metric_name, metadata.metric) == (1, "Macro F1", 0.5)
    columns = read_history(tmp_path / "history.csv")
    assert columns["accuracy"] == [0.2, 0.4, 0.6, 0.8] and columns["macro_f1"][0] == 0.5
    assert len(columns["balanced_accuracy"]) == len(columns["val_loss"]) == 4
    out = capsys.readouterr().out
    assert "Accuracy: 0.2000, Macro F1: 0.5000, Val Loss: [" in out
    assert "stopping early: no better Macro F1 in 3 epochs" in out
    with pytest.raises(UserError, match="`select=macro_f1`, not accuracy"):
        train(tmp_path, epochs=5, patience=3, resume=True)
    with pytest.raises(UserError, match="did you mean accuracy"):
        train(tmp_path, select="acuracy")


def test_history_has_what_evaluate_measures(whole):
    result = whole.result
    net, metadata = mindres.load_model(whole.folder / "best.ckpt")
    record = result.epochs[metadata.epoch - 1]
    measured = mindres.evaluate(net, Digits(split="test", batch_size=32))
    assert record.val_loss == pytest.approx(measured.loss, rel=1e-5)
    assert record.metrics == pytest.approx(measured.metrics) and record.metric == result.best
    assert set(mindres.predict(whole.net, np.zeros((1, 3, 32, 32), np.float32)).names) < set(
        "0123456789"
    )
    page = result._repr_html_()
    assert page.count("<tr>") == 4 and "best.ckpt" in page and "macro_f1" in str(result)


def test_a_run_that_fails_changes_nothing_of_the_run_before(finished):
    before = {path.name: path.read_bytes() for path in finished.iterdir()}
    with pytest.raises(UserError, match=r"the loss is .* set `clip_norm`$"):
        train(finished, lr=1e30, min_lr=0)  # the last good state is none of its own
    with pytest.raises(UserError, match=r"`lr=0\.002`, not 0\.1.*resume with the same values"):
        train(finished, resume=True, **{**PARTS, "lr": 0.1})
    assert {path.name: path.read_bytes() for path in finished.iterdir()} == before


@pytest.mark.parametrize("options", [{"lr": 1e30, "min_lr": 0}, {"freeze": "layer9"}])
def test_a_run_that_fails_leaves_no_folder(tmp_path, options):
    with pytest.raises(UserError):
        train(tmp_path / "a" / "b", **options)
    assert not (tmp_path / "a").exists()


@pytest.mark.parametrize("name", ["best.ckpt", "last.ckpt", "history.csv", "config.json"])
def test_a_folder_in_a_files_place_is_noticed_at_the_start(tmp_path, capsys, name):
    (tmp_path / name).mkdir()
    with pytest.raises(UserError, match=f"{name} is not a file"):
        train(tmp_path)
    assert "Epoch" not in capsys.readouterr().out


def test_a_refused_run_leaves_the_network_trainable(finished):
    """The folder is locked before the network is touched, and what was frozen is let go of."""
    net = mindres.resnet20(10)
    data = [Digits(split=split, batch_size=32) for split in ("train", "test")]
    trainable = len(net.trainable_params())
    with RunFolder(finished).locked(), pytest.raises(UserError, match="another run"):
        mindres.train(net, *data, ckpt_dir=finished, freeze="backbone")
    with pytest.raises(UserError, match="was left by a run with"):
        mindres.train(net, *data, ckpt_dir=finished, freeze="layer1", resume=True)
    assert len(net.trainable_params()) == trainable
    assert not [
        n for n, c in net.cells_and_names() if getattr(c, "use_batch_statistics", 1) is False
    ]


def test_an_interrupted_first_epoch_takes_the_place_of_the_run_before(finished):
    """history.csv, last.ckpt and config.json are of the same run."""
    train(finished, lr=0.01, max_steps=3)
    config = json.loads((finished / "config.json").read_text())
    metadata = read_checkpoint(finished / "last.ckpt")[1]
    assert config["run"] == metadata.run and config["lr"] == metadata.state["config"]["lr"] == 0.01
    assert (
        len(read_history(finished / "history.csv")["epoch"]) == len(metadata.state["history"]) + 1
    )


def test_config_notes_what_was_really_used(tmp_path):
    """From Python: the batch size, the place and the parts of the data set, whatever the recipe says."""
    mindres.set_seed(1)
    options = {"validation_fraction": 0.25, "batch_size": 50, "resize": 28}
    data = [Digits(tmp_path, split=split, **options) for split in ("train", "val")]
    net = mindres.convnet(10, in_channels=3)
    mindres.train(net, *data, epochs=1, max_steps=1, ckpt_dir=tmp_path / "run")
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    wanted = {"dataset": "digits", "dataset_path": str(tmp_path), "split": "val", **options}
    assert {name: config[name] for name in wanted} == wanted


def test_tensorboard_has_the_history(whole):
    from tensorboardX.proto.event_pb2 import Event

    data = next(whole.board.glob("events*")).read_bytes()
    values, pictures, at = {}, {}, 0
    while at < len(data):
        length = int.from_bytes(data[at : at + 8], "little")
        event = Event.FromString(data[at + 12 : at + 12 + length])
        at += length + 16
        for value in event.summary.value:
            values[value.tag, event.step] = value.simple_value
            pictures[value.tag, event.step] = value.image.encoded_image_string
    for record in whole.result.epochs:
        assert values["loss", record.epoch] == pytest.approx(record.loss, rel=1e-5)
        assert values["metric", record.epoch] == pytest.approx(record.metric, rel=1e-5)
        picture = np.asarray(
            Image.open(io.BytesIO(pictures["predictions", record.epoch])).convert("RGB")
        )
        # Titles in the two colours, and digits in grey.
        assert (
            min(picture.shape[:2]) > 300
            and (picture.std(axis=2) > 20).any()
            and len(np.unique(picture)) > 100
        )


def test_features_of_a_frozen_backbone_are_computed_once(tmp_path, own_cache, monkeypatch):
    """The classifier learns the same from kept features as through the whole network."""
    from mindres.training import frozen_features

    add_resnet8(monkeypatch)
    options = {"freeze": "backbone", "epochs": 2, "cache_features": True}
    net, cached = train(tmp_path / "a", "resnet8", **options)
    assert len(list((own_cache / "features").iterdir())) == 2
    with monkeypatch.context() as patch, pytest.raises(TypeError):
        patch.setattr(frozen_features, "Body", None)  # a second run must not need to compute any
        train(tmp_path / "b", "resnet8", seed=4, **options)
    accuracy = mindres.evaluate(net, Digits(split="test", batch_size=32)).accuracy
    assert accuracy == pytest.approx(cached.epochs[-1].metric)


def test_a_resumed_run_computes_the_features_of_its_own_backbone(tmp_path, own_cache):
    """Another seed gives another backbone, until that of last.ckpt is read."""
    options = {"freeze": "backbone", "epochs": 2}
    train(tmp_path / "through", **options)
    train(tmp_path / "stopped", max_steps=9, **options)
    train(tmp_path / "stopped", seed=5, resume=True, **options)
    assert history(tmp_path / "stopped") == history(tmp_path / "through")
    assert len(list((own_cache / "features").iterdir())) == 2, "one backbone, two splits"


def test_recipes_say_what_is_wrong():
    for options, part in (
        ({"epoch": 3}, "did you mean epochs"),
        ({"schedule": "sine"}, "unknown schedule"),
        ({"warmup": 1.0}, "warmup must be in"),
        ({"layer_decay": 0}, "layer_decay must be"),
    ):
        with pytest.raises(UserError, match=part):
            make_recipe(**options)
    with pytest.raises(UserError, match="unknown recipe 'slow'"):
        make_recipe("slow")
