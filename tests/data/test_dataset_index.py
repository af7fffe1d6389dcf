"""The index of data sets: a row is all that help, lists, suggestions and errors need."""

import json
import os

import numpy as np
import pytest
from conftest import ROOT

from mindres.data import BUILT_IN, DATASETS, OWN, create_dataset, dataset_class
from mindres.data.build import checked_name, name_of
from mindres.data.digits import Digits
from mindres.errors import UserError

# Runs command lines one after the other, and prints the status, output and errors of each.
FAKE = """
import contextlib, io, json, sys
import mindres.data
mindres.data.DATASETS["flowers"] = "fake_flowers:Flowers"
mindres.data.BUILT_IN.append("flowers")
from mindres.cli.program import main
done = []
for arguments in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            status = main(arguments)
        except SystemExit as end:
            status = end.code
    done.append((status, out.getvalue(), err.getvalue()))
print(json.dumps(done))
"""
FLOWERS = """
from mindres.data.digits import Digits
class Flowers(Digits):
    pass
"""


def test_a_new_row_is_in_help_lists_suggestions_and_errors(tmp_path, run_python):
    (tmp_path / "fake_flowers.py").write_text(FLOWERS)
    helps = [[command, "--help-all"] for command in ("train", "eval", "report")]
    near = ["train", "flower"]
    far = ["eval", "--ckpt", "none.ckpt", "--dataset", "zebra"]
    path = os.pathsep.join([str(ROOT), str(tmp_path)])
    done = run_python("-c", FAKE, json.dumps([*helps, near, far]), PYTHONPATH=path)
    assert done.returncode == 0, done.stderr
    *shown, near, far = json.loads(done.stdout)
    assert all(status in (0, None) and "flowers" in out for status, out, _ in shown)
    assert near[0] == 2 and "did you mean flowers?" in near[2]
    assert far[0] == 2 and "flowers" in far[2]


def test_a_new_row_is_built_and_recorded(monkeypatch, tmp_path):
    (tmp_path / "fake_flowers.py").write_text(FLOWERS)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(DATASETS, "flowers", "fake_flowers:Flowers")
    data = create_dataset("flowers", split="test", batch_size=8)
    assert (type(data).__name__, data.batch_size, name_of(data)) == ("Flowers", 8, "flowers")
    assert dataset_class("flowers") is type(data)


@pytest.mark.parametrize("name", DATASETS)
def test_every_row_is_a_class_with_what_is_said_of_it(name):
    kind = dataset_class(name)
    assert kind.__doc__ and kind.__module__.startswith("mindres.data.")
    assert len(kind.mean) == len(kind.std) in (1, 3)
    assert set(kind.channel_choices) <= {1, 3}
    assert name in BUILT_IN or name in OWN


def test_names_that_checkpoints_of_0_1_0_have():
    names = {"digits", "cifar10", "cifar100", "mnist", "imagefolder"}
    assert {checked_name(name) for name in names} == {
        "digits",
        "cifar10",
        "cifar100",
        "mnist",
        "folder",
    }
    with pytest.raises(UserError, match="did you mean cifar10"):
        dataset_class("cifar")


def test_data_sets_show_themselves():
    data = Digits(split="test", batch_size=8)
    assert len(data) == 360 and bool(data)
    assert repr(data).startswith("Digits(split: test, images: 360, classes: 10 (0, 1, 2")
    shown = data._repr_html_()
    assert "<table>" in shown and "3 x 32 x 32" in shown
    held = Digits(split="val", validation_fraction=0.25)
    assert len(held) == len(held.indices()) == 360
    assert np.bincount(held.split_labels()).sum() == len(held)


def test_a_name_that_would_be_html_is_escaped(monkeypatch):
    data = Digits(split="test")
    data.classes = ("<b>", *data.classes[1:])
    assert "&lt;b&gt;" in data._repr_html_()


def test_images_have_the_channels_that_the_class_says():
    with pytest.raises(UserError, match="number of channels: 1: choose one of 3"):
        Digits(channels=1)
