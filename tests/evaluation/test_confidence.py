"""How far probabilities can be believed: temperature, calibration error, promised precision."""

import json

import numpy as np
import pytest
from a_run import network, write_run

import mindres
from mindres import pictures
from mindres.cli.program import run_command
from mindres.data.digits import Digits
from mindres.errors import UserError
from mindres.evaluation.confidence import (
    PRECISIONS,
    calibration_error,
    confidence_of,
    fit_temperature,
    threshold_for,
)
from mindres.evaluation.evaluation import evaluation_of
from mindres.evaluation.probabilities import softmax
from mindres.evaluation.validation import ValidationMetrics


def honest(images, classes=5, seed=0, spread=2):
    """Logits whose softmax is the distribution that the labels were drawn from."""
    rng = np.random.default_rng(seed)
    logits = rng.normal(0, spread, (images, classes))
    shares = softmax(logits).cumsum(axis=1)
    return logits, (rng.random((images, 1)) > shares).sum(axis=1).clip(0, classes - 1)


@pytest.mark.parametrize("planted", [3.0, 1.0, 0.4])
def test_planted_temperature_is_found(planted):
    logits, labels = honest(20_000)
    assert fit_temperature(logits * planted, labels) == pytest.approx(planted, rel=0.05)


def test_temperature_stays_finite_where_all_images_are_right():
    assert 0.1 < fit_temperature(np.eye(4)[[0, 1, 2, 3]] * 5, np.arange(4)) < 1


def by_its_definition(confidence, right, bins=15):
    error = 0
    for k in range(bins):
        inside = [i for i, c in enumerate(confidence) if k / bins < c <= (k + 1) / bins]
        if inside:
            gap = np.mean([confidence[i] for i in inside]) - np.mean([right[i] for i in inside])
            error += len(inside) / len(confidence) * abs(gap)
    return error


def test_calibration_error_is_that_of_its_definition():
    logits, labels = honest(700)
    confidence = softmax(2 * logits).max(axis=1)
    right = logits.argmax(axis=1) == labels
    found = calibration_error(confidence, right)
    assert found == pytest.approx(by_its_definition(confidence, right)) and found > 0.05
    assert calibration_error(np.ones(5), np.ones(5, bool)) == 0


@pytest.mark.parametrize("precision, images", [(0.9, 1000), (0.98, 5000)])
def test_promised_precision_is_kept_on_other_images(precision, images):
    """The risk is one in twenty; it was taken less often in the tries of this seed."""
    others, theirs = honest(20_000, seed=99, spread=5)
    sure, correct = softmax(others).max(axis=1), others.argmax(axis=1) == theirs
    kept = []
    for seed in range(100):
        logits, labels = honest(images, seed=seed, spread=5)
        right = logits.argmax(axis=1) == labels
        if promise := threshold_for(precision, softmax(logits).max(axis=1), right):
            kept.append(correct[sure >= promise[0]].mean() >= precision)
            assert 0 < promise[1] < 1
    assert len(kept) > 60 and np.mean(kept) >= 0.95


def test_what_few_images_cannot_promise_is_not_promised():
    assert threshold_for(0.99, np.linspace(0.5, 1, 100), np.ones(100, bool)) is None
    assert threshold_for(0.9, np.linspace(0.5, 1, 100), np.ones(100, bool)) == (0.5, 1.0)
    assert threshold_for(0.8, np.linspace(0.5, 1, 100), np.zeros(100, bool)) is None


def test_what_a_checkpoint_notes():
    logits, labels = honest(4000)
    recorded = json.loads(json.dumps(confidence_of(3 * logits, labels)))
    before, after = recorded["calibration_error"]
    assert after < 0.03 < before and recorded["images"] == 4000
    precisions = [row[0] for row in recorded["thresholds"]]
    assert precisions == sorted(precisions) and set(precisions) <= set(PRECISIONS)
    shares = [row[2] for row in recorded["thresholds"]]
    assert shares == sorted(shares, reverse=True)


def test_validation_keeps_a_bounded_number_of_answers(monkeypatch):
    monkeypatch.setattr(ValidationMetrics, "MOST_NUMBERS", 5 * 600)
    logits, labels = honest(2000)
    metric = ValidationMetrics()
    for start in range(0, 2000, 100):
        metric.update(logits[start : start + 100], labels[start : start + 100])
    assert metric.eval()["confidence"]["images"] in range(300, 601)
    logits[0, 0] = np.nan
    metric.clear()
    metric.update(logits, labels)
    assert metric.eval()["confidence"] is None


def test_evaluation_has_probabilities_with_the_temperature_and_a_loss_without():
    logits, labels = honest(500)
    plain, warm = (
        evaluation_of(3 * logits, labels, list("abcde"), temperature=t) for t in (1.0, 3.0)
    )
    assert warm.loss == plain.loss and warm.accuracy == plain.accuracy
    assert np.allclose(warm.probabilities, softmax(logits), atol=1e-6)
    assert warm.calibration_error < 0.06 < plain.calibration_error
    legend = pictures.reliability(warm).axes[0].get_legend()
    shown = [text.get_text() for text in legend.get_texts()]
    assert shown[0].endswith(f"error {plain.calibration_error:.1%}")
    assert shown[1] == f"with temperature 3.00: calibration error {warm.calibration_error:.1%}"


CONFIDENCE = {"temperature": 2.5, "thresholds": [[0.9, 0.12, 0.5]]}


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("run")
    return write_run(folder, network(), Digits(split="test"), confidence=CONFIDENCE)


def test_predict_and_evaluate_take_what_is_recorded(run_dir):
    net, _ = mindres.load_model(run_dir / "best.ckpt")
    data = Digits(split="test", batch_size=16)
    images, _ = next(data.run().create_tuple_iterator(num_epochs=1, output_numpy=True))
    found = mindres.predict(net, images, precision=0.9)
    plain = mindres.predict(net, images, {})
    assert np.allclose(found.probabilities, softmax(np.log(plain.probabilities) / 2.5), atol=1e-6)
    assert found.sure.tolist() == (found.probabilities.max(axis=1) >= 0.12).tolist()
    assert plain.sure.all()
    for precision, words in ((0.99, "they guarantee at most 0.9"), (0.7, "must be one of")):
        with pytest.raises(UserError, match=words):
            mindres.predict(net, images, precision=precision)
    with pytest.raises(UserError, match="records no thresholds"):
        mindres.predict(net, images, {}, precision=0.9)
    assert mindres.evaluate(net, data).temperature == 2.5
    assert mindres.reset_head(net, 3).metadata is None


def test_another_classifier_takes_no_confidence_over(run_dir):
    _, metadata = mindres.load_model(run_dir / "best.ckpt", num_classes=4)
    assert metadata.confidence is None


def test_command_gives_only_sure_answers(run_dir, tmp_path, capsys):
    from PIL import Image

    Image.fromarray(np.zeros((32, 32, 3), np.uint8)).save(tmp_path / "a.png")
    options = ["--ckpt", str(run_dir / "best.ckpt"), "--precision", "0.9"]
    run_command(["predict", str(tmp_path / "a.png"), *options, "--json"])
    [answer] = json.loads(capsys.readouterr().out)["images"]
    assert answer["sure"] == (answer["predictions"][0]["probability"] >= 0.12)
    run_command(["predict", str(tmp_path / "a.png"), *options])
    assert ("not sure" in capsys.readouterr().out) != answer["sure"]
