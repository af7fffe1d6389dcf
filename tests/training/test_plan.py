"""A plan for a budget of time: the range test, what is decided, and what `mindres train --time` does."""

import argparse
import json
import re
import shlex
import shutil

import numpy as np
import pytest
from mindspore import nn, ops
from PIL import Image
from small_networks import add_resnet8

import mindres
from mindres import pictures
from mindres.cli.arguments import duration
from mindres.cli.program import run_command
from mindres.cli.training_plan import resolve_batch_size
from mindres.data import Digits, ImageFolder
from mindres.data.image_sizes import image_sizes
from mindres.errors import UserError
from mindres.runs.history import read_history
from mindres.training import budget, plan
from mindres.training.lr_finder import RangeTest, range_test
from mindres.training.recipes import make_recipe
from mindres.training.schedules import learning_rates

LENET = ["--arch", "lenet5", "--pretrained", "false", "--device_target", "CPU"]
LARGE = ["--batch_size", "256"]  # five steps an epoch


@pytest.fixture(scope="module")
def parts():
    held = {"validation_fraction": 0.1, "batch_size": 32}
    return [Digits(split=split, **held) for split in ("train", "val")]


def test_range_test_puts_the_weights_back_and_finds_where_the_loss_falls(parts):
    mindres.set_seed(0)
    net = mindres.lenet5(10, in_channels=3)
    before = {each.name: each.asnumpy().copy() for each in net.get_parameters()}
    found = range_test(net, parts[0], make_recipe("fast"), seconds=20)
    for each in net.get_parameters():
        np.testing.assert_array_equal(each.asnumpy(), before[each.name])
    assert found.rates[0] == pytest.approx(1e-5) and len(found.rates) == len(found.losses)
    assert (
        0.001 < found.suggestion <= 0.1
        and found.complete
        and 0 < found.step_seconds < found.first_seconds
    )


class NoStep(nn.Cell):
    """Stands in for a training step; its loss stays as it is."""

    def construct(self, images, labels):
        return ops.ones_like(images[0, 0, 0, 0])


@pytest.mark.parametrize("seconds, steps", [(1e-6, 2), (1.5, 2), (30, 4), (40, 40)])
def test_where_there_is_no_time_a_few_steps_are_timed(parts, monkeypatch, seconds, steps):
    clock = iter(range(100))  # a second for each step, and none of them for the first one alone
    monkeypatch.setattr("mindres.training.lr_finder.time.monotonic", lambda: next(clock))
    monkeypatch.setattr("mindres.training.lr_finder.training_step", lambda *_: NoStep())
    net = mindres.lenet5(10, in_channels=3)
    found = range_test(net, parts[0], make_recipe("fast"), seconds)
    assert (len(found.losses), found.step_seconds) == (steps, 1)
    assert found.complete == (steps == 40)


def test_suggestion_is_a_tenth_of_the_rate_with_the_lowest_smoothed_loss():
    rates = np.geomspace(1e-4, 1, 41).tolist()
    losses = [(np.log10(rate) + 1) ** 2 + 1 for rate in rates]
    found = RangeTest(rates, losses, True, 1.0, 0.1)
    mean, weighted = 0.0, []
    for step, loss in enumerate(losses, 1):
        mean = 0.8 * mean + 0.2 * loss
        weighted.append(mean / (1 - 0.8**step))
    np.testing.assert_allclose(found.smoothed(), weighted)
    assert found.suggestion == pytest.approx(rates[int(np.argmin(weighted))] / 10, rel=0.4)


def planned(monkeypatch, parts, seconds, pretrained, complete=True, step_seconds=0.1, **given):
    found = RangeTest([1e-3, 1e-2, 1e-1], [2.0, 1.0, 3.0], complete, 2.0, step_seconds)
    monkeypatch.setattr(plan, "range_test", lambda *_: found)
    monkeypatch.setattr(budget, "least_seconds", lambda *_: 0.0)
    freeze = given.pop("freeze", "none")
    net = mindres.resnet20(num_classes=10)
    return plan.plan_training(net, *parts, seconds, 1.0, pretrained, given, freeze=freeze)


def test_the_time_decides_what_is_trained(monkeypatch, parts):
    # An epoch is 40 steps of 0.1 seconds, 144 images without gradients, and what is around it.
    all_of_it = planned(monkeypatch, parts, 120, True)
    epoch = 40 * 0.1 + 144 * 0.1 / 32 / 3 + budget.EPOCH_OVERHEAD
    epochs = all_of_it.options["epochs"]
    assert all_of_it.freeze == "none" and 100 < epochs * epoch < 120
    assert all_of_it.options["optimizer"] == "adamw" and len(all_of_it.lines) == 5
    some = planned(monkeypatch, parts, 21, True)
    assert some.freeze == "layer2" and some.options["epochs"] in (3, 4)
    said = "layers: first the classifier, then those after layer2, since all would take too long"
    assert some.lines[2] == f"{said}; from published weights"
    few = planned(monkeypatch, parts, 12, True)
    assert few.freeze == "layer2" and few.options["epochs"] == 1 and few.linear_probe
    classifier = planned(monkeypatch, parts, 10, True)
    assert classifier.freeze == "backbone" and "ema" not in classifier.options
    assert classifier.lines[4] == "learning rate: 0.003, usual for a classifier alone"
    random = planned(monkeypatch, parts, 14, False)
    assert (random.freeze, random.options["optimizer"]) == ("none", "momentum")
    assert some.linear_probe and classifier.linear_probe and not random.linear_probe
    assert random.options["epochs"] in (1, 2)
    assert planned(monkeypatch, parts, 120, False, complete=False).options["lr"] == 0.05
    for pretrained in (False, True):
        with pytest.raises(UserError, match=r"too long for 6 seconds .* a smaller `arch`"):
            planned(monkeypatch, parts, 6, pretrained)


def test_what_is_hopeless_is_refused_before_anything_is_compiled(monkeypatch, parts):
    net = mindres.resnet20(num_classes=10)
    clock = iter(range(10))  # a second for each matrix product, of 2**30 multiply-adds
    monkeypatch.setattr("mindres.training.budget.time.monotonic", lambda: next(clock))
    least = budget.least_seconds(net, parts[0])
    assert least == pytest.approx(41e6 / 2**30 / 2, rel=0.02)  # those of ResNet-20
    monkeypatch.undo()
    monkeypatch.setattr(budget, "least_seconds", lambda *_: 0.1)
    monkeypatch.setattr(plan, "range_test", None)
    with pytest.raises(UserError, match=r"1,293 images take at least 2.17 minutes here, and there"):
        plan.plan_training(net, *parts, 120, 1.0, True)
    with pytest.raises(UserError, match=r"at least 6.5 minutes here, and there are 6 minutes:"):
        plan.plan_training(net, *parts, 360, 1.0, False)


def test_compiling_all_layers_keeps_no_classifier_from_being_trained(monkeypatch, parts):
    found = RangeTest([1e-3, 1e-2], [2.0, 1.0], False, 20.0, 0.1)
    monkeypatch.setattr(plan, "range_test", lambda *_: found)
    net = mindres.resnet20(num_classes=10)
    chosen = plan.plan_training(net, *parts, 60, 1.0, True)
    assert (chosen.freeze, chosen.linear_probe) == ("backbone", True)


def test_what_is_asked_for_is_not_planned(monkeypatch, parts):
    given = {"epochs": 7, "lr": 0.02, "optimizer": "adam"}
    found = planned(monkeypatch, parts, 120, True, **given)
    assert {name: found.options[name] for name in given} == given
    assert found.lines[3].startswith("epochs: 7 in 2 minutes, with adam, the schedule onecycle,")
    assert found.lines[4] == "learning rate: 0.02, as given"


def test_what_is_to_be_frozen_is_reckoned_with(monkeypatch, parts):
    """The range test times the part that is trained, and inference takes more than a third."""
    found = planned(monkeypatch, parts, 60, True, freeze="layer1")
    step = 40 * 0.1 + 144 * 0.1 / 32 / 2 + 0.15 + 275_000 * 16 / 400e6
    probe = 1 + (1293 + 144) * 0.1 / 32 / 2
    left = 0.95 * 59 - 2 - 0.3 - 3 - probe
    assert found.freeze == "layer1" and found.options["epochs"] == int(left // step)
    assert found.lines[2].startswith("layers: first the classifier, then those after layer1, as")
    alone = planned(monkeypatch, parts, 60, True, freeze="backbone")
    assert (alone.freeze, alone.options["epochs"]) == ("backbone", 30)
    assert alone.lines[2].startswith("layers: only the classifier, as given")


def test_long_runs_stop_early_and_average(monkeypatch, parts):
    long = planned(monkeypatch, parts, 300, True).options
    assert long["patience"] == long["epochs"] // 3 and long["ema"] == 0.99
    short = planned(monkeypatch, parts, 50, True).options
    assert not {"patience", "ema"} & short.keys()


def test_a_run_that_teaches_nothing_is_told_so(monkeypatch, parts):
    def is_warned(seconds, pretrained):
        found = planned(monkeypatch, parts, seconds, pretrained).lines
        return [line for line in found if line.startswith("expect little")]

    assert is_warned(14, False) and not is_warned(120, False) and not is_warned(20, True)
    large = [Digits(split="train", batch_size=32, resize=224), parts[1]]
    assert (
        "smaller images (`resize=64` has time for about 13 epochs), more `minutes`"
        in (planned(monkeypatch, large, 16, False).lines[-1])
    )


def test_the_plan_says_what_a_crop_leaves(monkeypatch, tmp_path):
    for kind, size in (("cat", (300, 200)), ("dog", (200, 300))):
        (tmp_path / kind).mkdir()
        for i in range(10):
            Image.new("RGB", size).save(tmp_path / kind / f"{i}.png")
    data = [ImageFolder(tmp_path, split=split, resize=224) for split in ("train", "val")]
    line = planned(monkeypatch, data, 60, True).lines[0]
    # 224 of 256 pixels along the shorter side, and of 384 along the longer one.
    assert line.startswith("images: 16 of 2 classes to train on, at 224x224 pixels; the files have")
    assert line.endswith(f"validation and test use the middle {224 / 256 * 224 / 384:.0%}")
    assert image_sizes(Digits()) is None


def test_budget_is_kept_on_a_clock_that_the_test_moves(monkeypatch, parts):
    """Epochs of the planned number, at the speed that was measured, end within a tenth of it."""
    for seconds, step_seconds in ((60, 0.02), (300, 0.1), (1200, 0.5)):
        found = planned(monkeypatch, parts, seconds, False, step_seconds=step_seconds)
        image = step_seconds / 32 / 3
        epoch = 40 * step_seconds + 144 * image + 0.15 + 275_000 * 16 / 400e6
        spent = 1 + 2 + 3 * step_seconds + 1.5 * 2 + found.options["epochs"] * epoch
        assert found.options["epochs"] == plan.MOST_EPOCHS or 0.9 * seconds < spent < seconds


@pytest.mark.parametrize(
    "text, seconds",
    [("90s", 90), ("20m", 1200), ("1.5h", 5400), ("2", 120), ("0m", None), ("x", None)],
)
def test_times(text, seconds):
    if seconds is None:
        with pytest.raises(argparse.ArgumentTypeError, match="must be a time such as 90s"):
            duration(text)
    else:
        assert duration(text) == seconds


@pytest.mark.parametrize(
    "images, seconds, size",
    [(20, None, 8), (20, 60, 8), (6, 60, 2), (90, None, None), (90, 60, 8), (200, 60, 16)],
)
def test_few_images_make_small_batches(images, seconds, size):
    args = argparse.Namespace(batch_size=None, time=seconds)
    data = Digits(split="train", batch_size=32)
    data.arrays = tuple(array[:images] for array in data.arrays)
    resolve_batch_size(args, make_recipe("tutorial"), data)
    assert args.batch_size == size and data.batch_size == (size or 32)


def test_many_images_make_no_small_batches(parts):
    args = argparse.Namespace(batch_size=None, time=60)
    resolve_batch_size(args, make_recipe("tutorial"), parts[0])
    assert args.batch_size is None


def test_train_says_what_it_plans_goes_on_with_it_and_how_to_repeat_it(
    tmp_path, monkeypatch, capsys
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(plan, "MOST_EPOCHS", 2)
    run_command(["train", "digits", "--time", "3m", "--max_steps", "3", *LENET])
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "planning for 3 minutes: timing a few steps"
    assert [line.split(":")[0].strip() for line in lines[1:6]] == [
        "images",
        "speed",
        "layers",
        "epochs",
        "learning rate",
    ]
    recorded = json.loads((tmp_path / "ckpt" / "config.json").read_text())
    assert (
        recorded["time"] == 180 and recorded["epochs"] == 2 and recorded["schedule"] == "onecycle"
    )
    assert lines[6].startswith("  expect little: 2 epochs from random weights")
    again = shlex.split(lines[7].removeprefix("to repeat it: mindres "))
    (first,) = [line for line in lines if line.startswith("lenet5 on digits, CPU in ")]
    assert first.endswith(": 2 epochs in batches of 32, momentum with the schedule onecycle")
    run_command(["train", "digits", "--resume", *LENET])
    out = capsys.readouterr().out
    assert "planning" not in out and "resuming from ckpt/last.ckpt: epoch 1, step 4" in out
    assert "2 epochs" in out and out.splitlines()[-1].startswith("Test accuracy: ")
    again[again.index("--ckpt_dir") + 1] = "again"
    run_command([*again, "--device_target", "CPU", "--max_steps", "1"])
    repeated = json.loads((tmp_path / "again" / "config.json").read_text())
    for name in (
        "resize",
        "validation_fraction",
        "select",
        "lr",
        "epochs",
        "optimizer",
        "schedule",
        "freeze",
        "ema",
        "seed",
        "batch_size",
    ):
        assert recorded[name] == repeated[name], name


def test_time_that_is_over_ends_the_run(parts, capsys):
    mindres.set_seed(0)
    net = mindres.lenet5(10, in_channels=3)
    history = mindres.train(net, *parts, epochs=3, ckpt_dir=None, max_seconds=0.001)
    assert len(history.epochs) == 1
    assert "stopping: the time is over" in capsys.readouterr().out


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A run of two epochs of five steps."""
    folder = tmp_path_factory.mktemp("finished")
    first = ["--epochs", "2", "--optimizer", "adamw", "--schedule", "onecycle", "--min_lr", "0"]
    run_command(["train", "digits", *LENET, *LARGE, *first, "--ckpt_dir", str(folder)])
    return folder


@pytest.mark.parametrize("longer", [["--epochs", "4"], ["--time", "5m"]])
def test_a_finished_run_takes_more_epochs(tmp_path, monkeypatch, capsys, finished, longer):
    monkeypatch.chdir(tmp_path)
    shutil.copytree(finished, "ckpt")
    before = read_history("ckpt/history.csv")
    monkeypatch.setattr(
        "mindres.cli.training_plan.SHARE_OF_EPOCHS", 2 * max(before["seconds"]) / 300
    )
    run_command(["train", "digits", *LENET, *LARGE, "--resume", *longer])
    out = capsys.readouterr().out
    epochs = json.loads((tmp_path / "ckpt" / "config.json").read_text())["epochs"]
    assert epochs == 4 if longer[0] == "--epochs" else epochs > 2
    assert (
        f"ended after 2 epochs; from now on the learning rate is that of a run of {epochs}" in out
    )
    assert "random weights" not in out
    after = read_history("ckpt/history.csv")
    assert after["loss"][:2] == before["loss"] and len(after["epoch"]) == epochs
    rates = learning_rates(make_recipe(epochs=epochs, schedule="onecycle", min_lr=0.0), 5)
    assert after["lr"] == pytest.approx([before["lr"][0], 0, *rates[14::5]], abs=1e-6)


def test_an_unfinished_run_keeps_its_epochs(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    run_command(["train", "digits", *LENET, *LARGE, "--epochs", "3", "--max_steps", "5"])
    with pytest.raises(UserError, match="was left by a run with `epochs=3`, not 5"):
        run_command(["train", "digits", *LENET, *LARGE, "--epochs", "5", "--resume"])


@pytest.mark.parametrize(
    "losses, rate, reason",
    [
        # Noise has its lowest value anywhere; here after two steps, at a rate that learns nothing.
        ([2.3, 2.2, *[2.3] * 38], 0.05, "did not fall clearly"),
        ([*np.linspace(2.3, 0.5, 30), *[5.0] * 10], None, "a tenth of"),
        ([2.3, *[0.5] * 4, *np.linspace(2.4, 9, 35)], 0.005, "within 10 times the usual"),
    ],
)
def test_a_range_test_that_says_nothing_is_not_believed(losses, rate, reason):
    rates = np.geomspace(1e-5, 1, 40).tolist()
    found = RangeTest(rates, list(losses), True, 1.0, 0.1)
    if "within" in reason:
        found.losses[:5] = [2.3, 2.3, 0.1, 2.3, 2.3]
    chosen, why = plan._rate(found, {"optimizer": "momentum"}, "none", 32)
    assert reason in why and chosen == (found.suggestion if rate is None else rate)
    assert 0.005 <= chosen <= 0.5


def test_fit_is_the_command_and_its_result_shows_itself(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(plan, "MOST_EPOCHS", 2)
    options = {"arch": "lenet5", "pretrained": "false", "device_target": "CPU", "nesterov": False}
    run = mindres.fit("digits", minutes=3, ckpt_dir=tmp_path / "run", **options)
    assert len(run.history.epochs) == 2 and (run.folder / "best.ckpt").is_file()
    assert run.result in capsys.readouterr().out and "on 360 images" in run.result
    config = json.loads((run.folder / "config.json").read_text())
    assert (config["time"], config["nesterov"]) == (180, False)
    shown = run._repr_html_()
    assert "data:image/png;base64,iVBOR" in shown and "<table>" in shown and run.result in shown
    assert "<details><summary>2 epochs</summary><table>" in shown
    assert "<details><summary>the plan</summary><ul><li>images: " in shown
    assert repr(run) == f"Run({run.result})"
    best, noted = mindres.load_model(run.folder / "best.ckpt")
    assert run.net.metadata.confidence == noted.confidence and noted.likeness
    for mine, theirs in zip(run.net.get_parameters(), best.get_parameters()):
        np.testing.assert_array_equal(mine.asnumpy(), theirs.asnumpy())
    with pytest.raises(UserError, match="unrecognized arguments: `learning_rate`"):
        mindres.fit("digits", learning_rate=0.1)


def test_fit_takes_data_sets(tmp_path, monkeypatch, capsys, parts):
    monkeypatch.setattr(plan, "MOST_EPOCHS", 1)
    options = {"arch": "lenet5", "pretrained": "false", "ckpt_dir": tmp_path / "run"}
    run = mindres.fit(
        parts[0], minutes=3, val_data=parts[1], test_data=Digits("", "test"), **options
    )
    out = capsys.readouterr().out
    assert "on 360 images" in run.result and "to repeat it" not in out
    assert "planning for 3 minutes" in out and " --" not in out
    assert re.search(r"^lenet5 on digits, CPU in .*: 1 epoch in batches of 32", out, re.M)
    config = json.loads((tmp_path / "run" / "config.json").read_text())
    assert (config["dataset"], config["batch_size"], config["resize"]) == ("digits", 32, 32)
    with pytest.raises(UserError, match="give them as val_data"):
        mindres.fit(parts[0])
    with pytest.raises(UserError, match="`resize` is an option of the data set"):
        mindres.fit(parts[0], val_data=parts[1], resize=64)
    with pytest.raises(UserError, match="go with an ImageDataset"):
        mindres.fit("digits", val_data=parts[1])


def test_plot_draws_the_range_test(tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    run_command(["plot", "lr_finder", "--arch", "lenet5", "--device_target", "CPU"])
    assert capsys.readouterr().out.split() == ["lr_finder.png"]
    assert (tmp_path / "lr_finder.png").stat().st_size > 10_000
    found = RangeTest([1e-3, 1e-2, 1e-1], [2.0, 1.0, 3.0], True, 1.0, 0.1)
    axis = pictures.lr_finder(found).axes[0]
    np.testing.assert_allclose(axis.lines[1].get_ydata(), found.smoothed())
    assert axis.lines[2].get_xdata()[0] == found.suggestion
    with pytest.raises(UserError, match="name it with --arch or --ckpt"):
        run_command(["plot", "lr_finder", "--device_target", "CPU"])


def test_a_resumed_run_keeps_its_shortcut(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    add_resnet8(monkeypatch)
    short = "--pretrained false --device_target CPU --epochs 1 --max_steps 1 --freeze backbone"
    command = ["train", "digits", "--arch", "resnet8", *short.split()]
    run_command([*command, "--shortcut", "A"])
    run_command([*command, "--resume"])
    net, metadata = mindres.load_model("ckpt/best.ckpt")
    assert metadata["architecture"]["shortcut"] == net.architecture["shortcut"] == "A"
    with pytest.raises(UserError, match="lenet5 has no option 'shortcut'"):
        run_command(["train", "digits", "--arch", "lenet5", *short.split(), "--shortcut", "A"])
