"""Which of two networks is better: McNemar's test, the interval of the difference, what differs."""

import json
import math

import numpy as np
import pytest
from a_run import network, write_run
from scipy import stats

import mindres
from mindres.cli.program import run_command
from mindres.data.digits import Digits
from mindres.errors import UserError
from mindres.evaluation.comparison import difference_interval, mcnemar
from mindres.evaluation.evaluation import evaluation_of

CLASSES = ["cat", "dog", "owl"]
LABELS = np.array([0, 0, 1, 1, 2, 2, 2, 0])


def answering(predicted, labels=LABELS, classes=CLASSES, files=None):
    """The evaluation of a network that gives these answers, each a little surer than the one before."""
    scores = np.zeros((len(predicted), len(classes)))
    scores[np.arange(len(predicted)), predicted] = np.linspace(1, 3, len(predicted))
    return evaluation_of(scores, np.asarray(labels), classes, files)


@pytest.mark.parametrize("first, second", [(0, 0), (1, 0), (3, 3), (2, 9), (40, 22), (0, 12)])
def test_p_value_counts_the_tosses_of_a_coin(first, second):
    tosses = first + second
    as_far = [
        math.comb(tosses, heads)
        for heads in range(tosses + 1)
        if abs(2 * heads - tosses) >= abs(first - second)
    ]
    assert mcnemar(first, second) == pytest.approx(sum(as_far) / 2**tosses)


@pytest.mark.parametrize("first, second", [(0, 9), (1, 10), (4, 5), (20, 40), (90, 130)])
def test_p_value_is_scipys_of_the_binomial_distribution(first, second):
    tail = stats.binom.cdf(min(first, second), first + second, 0.5)
    assert mcnemar(first, second) == mcnemar(second, first) == pytest.approx(min(1, 2 * tail))


@pytest.mark.parametrize("first, second", [(200, 200), (400, 460), (1000, 1100), (900, 1050)])
def test_p_value_of_many_images_is_that_of_the_chi_square_test(first, second):
    """With Edwards's correction for continuity (1948), as statsmodels and R have it."""
    statistic = max(0, abs(first - second) - 1) ** 2 / (first + second)
    assert mcnemar(first, second) == pytest.approx(stats.chi2.sf(statistic, 1), rel=0.02, abs=1e-4)


@pytest.mark.parametrize("first, second, count", [(0, 0, 20), (0, 4, 20), (12, 9, 300), (3, 0, 3)])
def test_interval_is_walds_after_half_an_image_more_in_each_cell(first, second, count):
    """SciPy's normal distribution over pairs that are written out, two for each image."""
    same = count - first - second
    pairs = np.repeat([-1, 1, 0], [2 * first + 1, 2 * second + 1, 2 * same + 2])
    error = pairs.std() / math.sqrt(len(pairs) / 2)
    expected = stats.norm.interval(0.95, pairs.mean(), error)
    assert difference_interval(first, second, count) == pytest.approx(expected, abs=1e-6)


def test_interval_of_many_images_is_that_of_the_paired_t_test_and_of_the_bootstrap():
    pairs = np.repeat([-1, 1, 0], [90, 150, 2760])
    found = difference_interval(90, 150, len(pairs))
    students = stats.ttest_rel(pairs, np.zeros(len(pairs))).confidence_interval(0.95)
    assert found == pytest.approx(students, abs=2e-4)
    drawn = stats.bootstrap(
        (pairs,), np.mean, n_resamples=2000, batch=500, method="percentile", random_state=0
    )
    assert found == pytest.approx(drawn.confidence_interval, abs=1e-3)


@pytest.mark.parametrize("count", [60, 1000])
@pytest.mark.parametrize("shares", [(0.06, 0.1), (0.1, 0.1), (0.02, 0.15)])
def test_interval_holds_the_true_difference_in_95_of_100_test_sets(count, shares):
    rng = np.random.default_rng(0)
    tables = rng.multinomial(count, [*shares, 1 - sum(shares)], 4000)
    intervals = [difference_interval(first, second, count) for first, second, _ in tables]
    held = np.mean([low <= shares[1] - shares[0] <= high for low, high in intervals])
    assert 0.935 < held < 0.975


def test_comparison_tells_counts_classes_and_images():
    first = answering([0, 1, 1, 1, 2, 0, 0, 0], files=[f"{i}.png" for i in range(8)])
    second = answering([0, 0, 1, 0, 2, 2, 2, 0], files=[f"{i}.png" for i in range(8)])
    found = mindres.compare(first, second)
    assert found.counts.tolist() == [[4, 1], [3, 0]]
    assert found.difference == pytest.approx(2 / 8)
    assert found.verdict().startswith("They cannot be told apart on these 8 images")
    assert [row["class"] for row in found.per_class()] == ["owl", "cat", "dog"]
    assert [row["image"] for row in found.differing()] == ["6.png", "5.png", "3.png", "1.png"]
    assert found.differing()[2] == {
        "position": 3,
        "image": "3.png",
        "true": "dog",
        "first": "dog",
        "second": "cat",
    }
    assert json.loads(json.dumps(found.to_json()))["right_or_wrong"] == [[4, 1], [3, 0]]
    assert "<pre>" in found._repr_html_() and "owl" in str(found)


@pytest.mark.parametrize(
    "better, points", [("second", "5.0 points (3.6 to 6.4)"), ("first", "5.0")]
)
def test_verdict_names_the_better_one(better, points):
    labels = np.zeros(1000, int)
    wrong = answering([1] * 50 + [0] * 950, labels)
    right = answering([0] * 1000, labels)
    pair = (wrong, right) if better == "second" else (right, wrong)
    verdict = mindres.compare(*pair).verdict()
    assert verdict.startswith(f"The {better} is better by {points}")


def test_classes_in_another_order_are_the_same():
    turned = answering(2 - np.array([0, 1, 1, 1, 2, 0, 0, 0]), 2 - LABELS, CLASSES[::-1])
    found = mindres.compare(answering([0, 1, 1, 1, 2, 0, 0, 0]), turned)
    assert found.p_value == 1 and found.differing() == []


def test_other_images_or_classes_are_refused():
    first = answering(LABELS)
    with pytest.raises(UserError, match="different images"):
        mindres.compare(first, answering(LABELS[:5], LABELS[:5]))
    with pytest.raises(UserError, match="different images"):
        mindres.compare(first, answering(LABELS, LABELS[::-1]))
    with pytest.raises(UserError, match="only one of them knows 'dog'"):
        mindres.compare(first, answering(LABELS, classes=["cat", "eel", "owl"]))


def test_command_compares_two_runs(tmp_path, capsys):
    folders = []
    for seed in range(2):
        folders.append(tmp_path / str(seed))
        folders[-1].mkdir()
        write_run(folders[-1], network(seed=seed), Digits(split="test"))
    run_command(["compare", *map(str, folders), "--plots", str(tmp_path / "plots")])
    shown = capsys.readouterr().out
    assert "second  " in shown and "lenet5 on the 360 test images of Digits" in shown
    assert "images on which they differ, 10 of " in shown
    assert (tmp_path / "plots" / "differing.png").stat().st_size > 10_000
    run_command(["compare", str(folders[0]), str(folders[0] / "best.ckpt"), "--json"])
    found = json.loads(capsys.readouterr().out)
    assert found["difference"] == 0 and found["differing"] == []
    assert found["num_images"] == 360 == np.sum(found["right_or_wrong"])
