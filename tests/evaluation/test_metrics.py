"""Metrics against scikit-learn's, and what a new one takes."""

import json

import numpy as np
import pytest
from mindspore import Tensor
from sklearn import metrics as reference

from mindres.cli import training_flags
from mindres.errors import UserError
from mindres.evaluation.evaluation import evaluation_of
from mindres.evaluation.metrics import METRICS, Metric, confusion_matrix, measure
from mindres.evaluation.validation import ValidationMetrics
from mindres.runs.history import EpochRecord

REFERENCES = {
    "accuracy": reference.accuracy_score,
    "balanced_accuracy": reference.balanced_accuracy_score,
    "macro_f1": lambda labels, predicted: reference.f1_score(
        labels, predicted, average="macro", zero_division=0
    ),
}


def answers(seed, count=200, classes=7, used=7):
    """Unbalanced labels of the first `used` classes, and logits that are right about half of the time."""
    random = np.random.default_rng(seed)
    shares = random.dirichlet(np.full(used, 0.5))
    labels = random.choice(used, count, p=shares).astype(np.int32)
    logits = random.normal(size=(count, classes)).astype(np.float32)
    logits[np.arange(count), labels] += 1
    return logits, labels


@pytest.mark.parametrize("name", METRICS)
@pytest.mark.parametrize("used", [2, 5, 7])
@pytest.mark.parametrize("seed", range(4))
@pytest.mark.filterwarnings("ignore:y_pred contains classes")
def test_metrics_are_scikit_learns(name, used, seed):
    logits, labels = answers(seed, used=used)
    predicted = logits.argmax(axis=1)
    confusion = confusion_matrix(labels, predicted, 7)
    np.testing.assert_array_equal(
        confusion, reference.confusion_matrix(labels, predicted, labels=range(7))
    )
    assert METRICS[name].value(confusion) == pytest.approx(REFERENCES[name](labels, predicted))


def test_validation_counts_every_batch():
    """Batches of different sizes, one of them with labels as probabilities."""
    logits, labels = answers(0)
    metric = ValidationMetrics()
    for start, end in ((0, 64), (64, 128), (128, 199), (199, 200)):
        batch = labels[start:end]
        metric.update(Tensor(logits[start:end]), Tensor(np.eye(7)[batch] if start else batch))
    found = metric.eval()
    predicted = logits.argmax(axis=1)
    for name, function in REFERENCES.items():
        assert found[name] == pytest.approx(function(labels, predicted)), name
    probabilities = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    assert found["loss"] == pytest.approx(
        reference.log_loss(labels, probabilities, labels=range(7)), rel=1e-5
    )
    metric.clear()
    with pytest.raises(UserError, match="no images to validate on"):
        metric.eval()


def test_labels_that_the_network_does_not_know():
    with pytest.raises(UserError, match="label 9 and the network only 7 classes"):
        ValidationMetrics().update(Tensor(answers(0)[0][:2]), Tensor(np.array([1, 9], np.int32)))


def test_a_new_metric_is_a_row(monkeypatch):
    """It is measured, recorded in history.csv, told by `eval`, and can be selected by."""
    wrong = Metric("Kappa", "agreement beyond chance", lambda confusion: confusion.size / 1000)
    monkeypatch.setitem(METRICS, "kappa", wrong)
    logits, labels = answers(1)
    assert measure(confusion_matrix(labels, labels, 7))["kappa"] == 0.049
    record = EpochRecord(1, 0.5, 0.6, 0.1, 10.0, 1.0, 0.7, {"accuracy": 0.6, "kappa": 0.049})
    assert record.columns()["kappa"] == 0.049
    result = evaluation_of(logits, labels, [str(k) for k in range(7)])
    assert json.loads(json.dumps(result.to_json()))["kappa"] == 0.049
    assert "kappa 4.90%" in str(result) and "kappa 4.90%" in result._repr_html_()
    parser = training_flags.training_parser("trains", "train.py")
    assert parser.parse_args(["--select", "kappa"]).select == "kappa"
    assert "kappa" in parser.format_everything()
    with pytest.raises(UserError, match=r"unknown value 'kapa': did you mean kappa\?"):
        parser.parse_args(["--select", "kapa"])


def test_misclassified_images_are_named():
    logits = np.array([[9, 0, 0], [0, 2, 5], [0, 9, 0], [7, 0, 0]], np.float32)
    files = ["a.png", "b.png", "c.png", "d.png"]
    result = evaluation_of(logits, np.array([0, 1, 1, 2]), ["x", "y", "z"], files)
    found = result.to_json()["misclassified"]
    assert [(each["image"], each["true"], each["predicted"]) for each in found] == [
        ("d.png", "z", "x"),
        ("b.png", "y", "z"),
    ]
    assert found[0]["probability"] > found[1]["probability"] > 0.9


def test_a_result_shows_itself_in_a_notebook():
    logits, labels = answers(2)
    page = evaluation_of(logits, labels, ["<b>", *"bcdefg"])._repr_html_()
    assert "&lt;b&gt;" in page and page.count("<tr>") == 8 and "macro F1" in page
