"""A linear probe: what it puts into the network, and that no training ends below it."""

import json

import numpy as np
import pytest
from sklearn.linear_model import LogisticRegression
from sklearn.preprocessing import StandardScaler
from small_networks import add_resnet8

import mindres
from mindres.data import Digits
from mindres.errors import UserError
from mindres.runs.history import read_history
from mindres.training import linear_probe
from mindres.training.kept_features import KeptFeatures, write_features
from mindres.training.linear_probe import fit_linear_probe


def few_digits(split, classes, count=48):
    data = Digits(split=split, batch_size=16, validation_fraction=0.1)
    chosen = np.flatnonzero(np.isin(data.labels(), classes))[:count]
    data.arrays = tuple(array[chosen] for array in data.arrays)
    data.validation_fraction = 0.0
    data.split = "train" if split == "train" else "test"
    return data


@pytest.fixture
def parts():
    return few_digits("train", range(10), 96), few_digits("test", range(10))


def kept(path, features, labels):
    write_features(path, [(features, labels)])
    return KeptFeatures(path)


@pytest.mark.parametrize("classes", [(3, 8), (0, 1, 2, 5)])
def test_probe_is_logistic_regression_on_the_features(tmp_path, monkeypatch, classes):
    mindres.set_seed(0)
    net = mindres.resnet20(num_classes=10)
    rng = np.random.default_rng(0)
    labels = np.repeat(classes, 20).astype(np.int32)
    features = (rng.normal(size=(len(labels), 64)) + labels[:, None] / 4).astype(np.float32)
    rows = kept(tmp_path / "features", features, labels)
    monkeypatch.setattr(linear_probe, "features_of", lambda *_: rows)
    monkeypatch.setattr(linear_probe, "STRENGTHS", (0.1,))
    data = few_digits("train", classes)
    found = fit_linear_probe(net, data, data, "accuracy", balanced=True)
    scaled = StandardScaler().fit_transform(features)
    reference = LogisticRegression(C=0.1, class_weight="balanced").fit(scaled, labels)
    weight, bias = (each.asnumpy() for each in linear_probe.classifier(net))
    scores = features @ weight.T + bias
    np.testing.assert_array_equal(scores.argmax(1), reference.predict(scaled))
    assert found == pytest.approx(reference.score(scaled, labels))
    shares = np.exp(scores[:, list(classes)])
    shares /= shares.sum(1, keepdims=True)
    np.testing.assert_allclose(shares, reference.predict_proba(scaled), atol=1e-3)


def test_a_better_classifier_stays(tmp_path, monkeypatch):
    mindres.set_seed(0)
    net = mindres.resnet20(num_classes=10)
    weight, bias = linear_probe.classifier(net)
    rng = np.random.default_rng(0)
    features = rng.normal(size=(200, 64)).astype(np.float32)
    labels = (features @ weight.asnumpy().T + bias.asnumpy()).argmax(1)
    first = kept(tmp_path / "first", features[:20], labels[:20])
    parts = iter([first, kept(tmp_path / "second", features[20:], labels[20:])])
    monkeypatch.setattr(linear_probe, "features_of", lambda *_: next(parts))
    data = few_digits("train", range(10))
    before = weight.asnumpy().copy()
    assert fit_linear_probe(net, data, data, "accuracy", balanced=False) == 1
    np.testing.assert_array_equal(weight.asnumpy(), before)


def test_no_training_ends_below_the_probe(tmp_path, parts, capsys, monkeypatch):
    add_resnet8(monkeypatch)
    mindres.set_seed(0)
    net = mindres.create_model("resnet8", num_classes=10)
    options = {"linear_probe": True, "optimizer": "momentum", "schedule": "constant", "lr": 0.5}
    history = mindres.train(net, *parts, ckpt_dir=tmp_path, epochs=1, **options)
    first = float(capsys.readouterr().out.partition("Before training: Accuracy: ")[2].split()[0])
    worse = read_history(tmp_path / "history.csv")["accuracy"]
    assert len(worse) == 1 and worse[0] < first == pytest.approx(history.best, abs=1e-4)
    kept, metadata = mindres.load_model(history.best_ckpt_path)
    assert metadata["epoch"] == 0 and metadata["metric"] == history.best
    assert mindres.evaluate(kept, parts[1]).accuracy == pytest.approx(history.best)
    # A run that goes on has weights that no probe may replace.
    mindres.train(net, *parts, ckpt_dir=tmp_path, epochs=2, resume=True, **options)
    assert "Before training" not in capsys.readouterr().out
    assert "linear_probe" not in json.loads((tmp_path / "config.json").read_text())


def test_what_cannot_be_probed(parts):
    with pytest.raises(UserError, match="ends with one dense layer"):
        mindres.train(
            mindres.lenet5(10, in_channels=3), *parts, ckpt_dir=None, epochs=1, linear_probe=True
        )
    with pytest.raises(UserError, match="needs data sets of mindres"):
        net = mindres.resnet20(num_classes=10)
        mindres.train(net, parts[0].run(), parts[1].run(), ckpt_dir=None, linear_probe=True)
