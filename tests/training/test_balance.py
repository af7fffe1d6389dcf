"""Unbalanced classes: which images are drawn, how the loss weighs them, and what is printed."""

import json

import mindspore
import numpy as np
import pytest
import torch
from PIL import Image

from mindres.cli.program import run_command
from mindres.data import Digits
from mindres.errors import UserError
from mindres.report.writer import write_report
from mindres.training import balance
from mindres.training.frozen_features import feature_batches
from mindres.training.kept_features import KeptFeatures, write_features
from mindres.training.loss import Loss


def uneven_digits():
    data = Digits(batch_size=16)
    keep = np.flatnonzero((data.labels() != 3) | (np.arange(len(data)) % 10 == 0))
    data.arrays = tuple(array[keep] for array in data.arrays)
    return data


def test_sampling_draws_each_class_equally_often():
    data = uneven_digits()
    counts = balance.class_counts(data)
    assert balance.is_uneven(counts) and balance.resolved("auto", counts) == balance.AUTO
    mindspore.dataset.config.set_seed(1)
    drawn = [
        label
        for _, labels in balance.sampled(data).run().create_tuple_iterator(output_numpy=True)
        for label in labels
    ]
    assert len(drawn) == len(data) // 16 * 16
    each = np.bincount(drawn, minlength=10)
    wanted = len(drawn) / 10
    assert (np.abs(each - wanted) < 5 * np.sqrt(wanted)).all()
    plain = np.bincount(data.split_labels(), minlength=10)
    assert plain[3] < wanted / 5


def test_features_are_drawn_so_too(tmp_path, monkeypatch):
    data = uneven_digits()
    rows = np.zeros((len(data), 4), np.float32), data.split_labels().astype(np.int32)
    write_features(tmp_path / "features", [rows])
    found = KeptFeatures(tmp_path / "features")
    monkeypatch.setattr("mindres.training.frozen_features.features_of", lambda *_: found)
    batches = feature_batches(None, data, shuffle=True, balanced=True)
    labels = np.concatenate(
        [found for _, found in batches.create_tuple_iterator(output_numpy=True)]
    )
    assert np.bincount(labels, minlength=10)[3] > len(labels) / 20
    data.batch_size = len(data) + 1
    with pytest.raises(UserError, match="is larger than the"):
        feature_batches(None, data, shuffle=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_weighted_loss_is_the_weighted_mean_of_pytorchs(smoothing):
    rng = np.random.default_rng(0)
    logits = rng.normal(size=(12, 4)).astype(np.float32)
    labels = rng.integers(0, 4, 12)
    weights = balance.class_weights(np.array([40, 10, 5, 0]))
    assert weights[:3] @ np.array([40, 10, 5]) == pytest.approx(55)

    class Net(mindspore.nn.Cell):
        def construct(self, image):
            return image

    loss = Loss(Net(), smoothing, weights)
    mine = loss(mindspore.Tensor(logits), mindspore.Tensor(labels.astype(np.int32)))
    reference = torch.nn.CrossEntropyLoss(reduction="none", label_smoothing=smoothing)
    losses = reference(torch.tensor(logits), torch.tensor(labels)).numpy()
    assert float(mine) == pytest.approx(np.average(losses, weights=weights[labels]), rel=1e-5)
    one_hot = mindspore.Tensor(np.eye(4, dtype=np.float32)[labels])
    assert float(loss(mindspore.Tensor(logits), one_hot)) == pytest.approx(float(mine), rel=1e-5)
    if not smoothing:
        reference = torch.nn.CrossEntropyLoss(torch.tensor(weights))
        wanted = reference(torch.tensor(logits), torch.tensor(labels))
        assert float(mine) == pytest.approx(float(wanted), rel=1e-5)


@pytest.mark.parametrize("counts, uneven", [((30, 10), True), ((29, 10), False), ((9, 0), False)])
def test_a_ratio_of_three_is_uneven(counts, uneven):
    counts = np.array(counts)
    assert balance.is_uneven(counts) == uneven
    assert balance.resolved("auto", counts) == (balance.AUTO if uneven else "none")
    assert balance.resolved("weight", counts) == "weight"


def test_what_cannot_be_balanced():
    with pytest.raises(UserError, match="unknown balance 'smaple': did you mean sample"):
        balance.check("smaple", uneven_digits(), None)
    with pytest.raises(UserError, match="needs a data set of mindres"):
        balance.check("weight", object(), None)
    with pytest.raises(UserError, match="several workers"):
        balance.check("sample", uneven_digits(), 2)


@pytest.mark.parametrize("flags, way", [([], balance.AUTO), (["--balance", "weight"], "weight")])
def test_train_says_what_it_does_and_the_report_shows_the_numbers(
    tmp_path, monkeypatch, capsys, flags, way
):
    monkeypatch.chdir(tmp_path)
    for name, count in (("cat", 70), ("dog", 12)):
        (tmp_path / "photos" / name).mkdir(parents=True)
        for i in range(count):
            Image.new("RGB", (8, 8)).save(tmp_path / "photos" / name / f"{i}.png")
    lenet = "--arch lenet5 --pretrained false --epochs 1 --batch_size 8 --device_target CPU"
    run_command(["train", "photos", *lenet.split(), *flags])
    out = capsys.readouterr().out
    counts = json.loads((tmp_path / "ckpt" / "config.json").read_text())["images"]
    few, many = sorted(counts["train_of_each_class"])
    assert f"dog has {few} training images and cat {many}: classes have equal weight" in out
    assert (
        f"(--balance {way}), and balanced accuracy chooses" in out and "Balanced accuracy: " in out
    )
    page = write_report(tmp_path / "ckpt").path.read_text()
    assert "training images</button>" in page and f"<td data-value={few}>{few}</td>" in page
