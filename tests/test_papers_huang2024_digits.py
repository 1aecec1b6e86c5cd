"""Gates of the digits network: parameters, intervals, recipes and figures."""

import numpy as np
import pytest
from scipy.stats import ttest_rel

from kanerva import InputError
from kanerva.lab.papers.huang2024 import _intervals

# Intervals


def test_an_interval_is_that_of_the_paired_test_of_scipy():
    source = np.random.default_rng(0)
    one, other = source.normal(size=(2, 7))
    found = _intervals.paired(one.tolist(), other.tolist())
    wanted = ttest_rel(one, other).confidence_interval(0.95)
    assert found.mean == pytest.approx((one - other).mean(), abs=1e-14)
    assert found[1:] == pytest.approx((wanted.low, wanted.high), abs=1e-12)
    narrow = _intervals.paired(one.tolist(), other.tolist(), level=0.5)
    assert found.low < narrow.low < narrow.mean < narrow.high < found.high


def test_an_interval_covers_the_mean_as_often_as_it_says():
    source = np.random.default_rng(1)
    given = source.normal(0.3, 1.0, size=(1000, 5))
    found = [_intervals.paired(row.tolist(), [0.0] * 5) for row in given]
    covered = sum(one.low <= 0.3 <= one.high for one in found)
    assert 925 <= covered <= 975


def test_an_interval_shows_a_sign_or_none():
    assert _intervals.paired([2.0, 2.1], [1.0, 1.1]).shows == 1
    assert _intervals.paired([1.0, 1.1], [2.0, 2.1]).shows == -1
    assert _intervals.paired([1.0, 2.0], [2.0, 1.0]).shows == 0


@pytest.mark.untyped
@pytest.mark.parametrize(
    ("one", "other", "level"),
    [
        ([1.0], [1.0], 0.95),
        ([1.0, 2.0], [1.0], 0.95),
        ([1.0, float("nan")], [1.0, 2.0], 0.95),
        ([1.0, 2.0], [1.0, None], 0.95),
        ([1.0, 2.0], [1.0, 3.0], 1.0),
        ([1.0, 2.0], [1.0, 3.0], 0.0),
    ],
)
def test_an_interval_refuses_what_has_none(one, other, level):
    with pytest.raises(InputError):
        _intervals.paired(one, other, level)
