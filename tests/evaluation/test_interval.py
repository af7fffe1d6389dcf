"""The interval of an accuracy is SciPy's."""

import pytest
from scipy.stats import binomtest

from mindres.evaluation.interval import wilson


@pytest.mark.parametrize("right, count", [(0, 1), (1, 1), (0, 20), (17, 20), (20, 20), (612, 1000)])
def test_wilson_is_scipys(right, count):
    wanted = binomtest(right, count).proportion_ci(0.95, "wilson")
    assert wilson(right, count) == pytest.approx((wanted.low, wanted.high), abs=1e-6)
