"""The interval of an accuracy is SciPy's."""

import numpy as np
import pytest
from scipy.stats import binomtest

from mindres.evaluation.interval import wilson


@pytest.mark.parametrize("right, count", [(0, 1), (1, 1), (0, 20), (17, 20), (20, 20), (612, 1000)])
def test_wilson_is_scipys(right, count):
    wanted = binomtest(right, count).proportion_ci(0.95, "wilson")
    assert wilson(right, count) == pytest.approx((wanted.low, wanted.high), abs=1e-6)


@pytest.mark.parametrize("share, count", [(0.9, 360), (0.7, 1000), (0.8, 500)])
def test_intervals_of_1000_test_sets_hold_the_true_accuracy_in_95_of_100(share, count):
    right = np.random.default_rng(0).binomial(count, share, 1000)
    held = [low <= share <= high for low, high in (wilson(int(k), count) for k in right)]
    assert 0.94 <= np.mean(held) <= 0.96
