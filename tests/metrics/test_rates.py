import math

import pytest
from scipy.stats import chi2, poisson

from crydistill.metrics.rates import RULE_OF_THREE, poisson_interval, rate


@pytest.mark.parametrize("count", [0, 1, 2, 7, 100])
def test_interval_is_garwoods(count: int) -> None:
    low, high = poisson_interval(count)
    assert low == pytest.approx(chi2.ppf(0.025, 2 * count) / 2 if count else 0)
    assert high == pytest.approx(chi2.ppf(0.975, 2 * count + 2) / 2)


@pytest.mark.parametrize("mean", [0.2, 1.0, 4.5, 30.0])
def test_interval_covers_at_least_what_it_says(mean: float) -> None:
    covered = 0.0
    for count in range(200):
        low, high = poisson_interval(count)
        if low <= mean <= high:
            covered += poisson.pmf(count, mean)
    assert covered >= 0.95


def test_rule_of_three_is_the_one_sided_limit_of_no_event() -> None:
    assert poisson_interval(0, level=0.90)[1] == pytest.approx(RULE_OF_THREE, rel=0.002)


def test_rate_is_per_unit_of_time() -> None:
    estimate = rate(4, 2.0)
    assert estimate.value == 2.0
    assert (estimate.low, estimate.high) == pytest.approx((0.545, 5.121), abs=1e-3)
    assert math.isnan(rate(0, 0.0).value)


def test_what_is_no_count_is_refused() -> None:
    with pytest.raises(ValueError):
        poisson_interval(-1)
