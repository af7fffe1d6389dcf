"""The tables of results are what benchmarks/results_table.py writes of what was measured."""

import importlib
import json

import numpy as np
import pytest
from conftest import ROOT

import mindres
from mindres.data import Digits
from mindres.evaluation.interval import wilson


@pytest.fixture
def table(monkeypatch):
    monkeypatch.syspath_prepend(str(ROOT))
    return importlib.import_module("benchmarks.results_table")


@pytest.mark.parametrize("page", ["README.md", "docs/results.md"])
def test_a_page_has_the_table_that_follows_from_the_lines(page, table):
    text = (ROOT / page).read_text(encoding="utf-8")
    assert text == table.filled(text, table.TABLES[page](table.read()))


def test_no_line_names_a_folder_of_its_machine(table):
    for line in table.read():
        words = line["command"].split()
        assert words[0] == "mindres" or words[1].startswith("examples/")
        assert not [word for word in words if word.startswith("/")]
        assert "--seed" not in words and "--ckpt_dir" not in words


def test_commands_are_recorded_as_one_types_them(table):
    recorded = (
        "/somewhere/mindres/__main__.py train cifar10 --dataset_path /data --seed 3 --ckpt_dir x"
    )
    assert table.typed(recorded) == "mindres train cifar10 --dataset_path DIR"
    recorded = (
        "/home/me/examples/train_mnist.py --resume --seed 1 --pretrained /tmp/a.th --epochs 2"
    )
    assert table.typed(recorded) == "python examples/train_mnist.py --pretrained a.th --epochs 2"


def run_on(folder, selecting):
    """A run of LeNet-5 on Digits of two steps, whose best weights `selecting` images chose."""
    options = {"batch_size": 64, "validation_fraction": 0.2}
    train, other = (Digits(split=split, **options) for split in ("train", selecting))
    config = {
        "command": "mindres train digits --seed 0",
        "arch": "lenet5",
        "validation_fraction": 0.2,
    }
    net = mindres.lenet5(10, in_channels=3)
    mindres.train(
        net,
        train,
        other,
        recipe="fast",
        epochs=1,
        max_steps=2,
        tta=False,
        ckpt_dir=folder,
        config=config,
    )
    return Digits(split="test", **options)


def test_the_test_images_measure_what_they_did_not_choose(table, tmp_path):
    """The best weights, if validation images chose them."""
    test = run_on(tmp_path / "run", "val")
    line = table.measured(tmp_path / "run")
    net, _ = mindres.load_model(tmp_path / "run" / "best.ckpt")
    result = mindres.evaluate(net, test)
    assert (line["right"], line["tested"]) == (result.confusion_matrix.trace(), 360)
    assert line["weights"] == "of epoch 1, the best on validation images"
    assert line["images"]["val"] > 0 and line["seed"] is not None
    assert line["calibration_error"] == round(result.calibration_error, 5)
    assert 0 < line["fastest_epoch"] == line["seconds"]
    json.dumps(line)
    low, high = wilson(line["right"], 360)
    assert table.interval(line["right"], 360) == f"{low:.1%} to {high:.1%}"
    assert f"| {line['right'] / 360:.2%} of 360 | " in table.every_run([line])


def test_where_test_images_chose_the_best_weights_the_last_epoch_counts(
    table, tmp_path, monkeypatch
):
    test = run_on(tmp_path / "run", "test")
    line = table.measured(tmp_path / "run")
    net, _ = mindres.load_model(tmp_path / "run" / "last.ckpt")
    assert line["right"] == mindres.evaluate(net, test).confusion_matrix.trace()
    assert line["weights"] == "of the last epoch"


def test_a_row_has_all_seeds_of_a_command(table):
    line = {**table.read()[0], "tested": 1000}
    lines = [
        {**line, "seed": seed, "right": 900 + seed, "seconds": 60 + seed} for seed in (2, 0, 1)
    ]
    row = table.summary(lines).splitlines()[2]
    assert "seeds 0, 1, 2: `" in row and "| 90.00%, 90.10%, 90.20% |" in row
    assert "| 1:00 to 1:02 (" in row and table.interval(901, 1000) in row
    assert np.isclose(wilson(901, 1000)[0], 0.8809, atol=1e-3)
