"""Intervals against their formulas, against scipy's quantiles, and by how often they hold the truth."""

import math

import numpy as np
import pytest
import torch
from refusals import refusal
from scipy import stats

from cifar_lib import evaluate


@pytest.mark.parametrize(
    ("share", "n", "low", "high"),
    [
        (0.5, 10, 0.23659, 0.76341),
        (0.0, 10, 0.0, 0.27753),
        (1.0, 10, 0.72247, 1.0),
        (0.1, 100, 0.05523, 0.17437),
        (0.72, 10_000, 0.71112, 0.72871),
    ],
)
def test_wilsons_interval(share, n, low, high):
    assert evaluate.wilson_interval(share, n) == pytest.approx((low, high), abs=2e-5)


def test_wilsons_interval_is_its_formula():
    z, p, n = 2.5758293, 0.3, 50
    middle = (p + z * z / (2 * n)) / (1 + z * z / n)
    half = z / (1 + z * z / n) * math.sqrt(p * (1 - p) / n + z * z / (4 * n * n))
    assert evaluate.wilson_interval(p, n, 0.99) == pytest.approx((middle - half, middle + half))


def test_wilsons_interval_is_centred_where_half_are_right():
    low, high = evaluate.wilson_interval(0.5, 40)
    assert low + high == pytest.approx(1)
    assert evaluate.wilson_interval(0.3, 40) == pytest.approx(
        tuple(1 - x for x in evaluate.wilson_interval(0.7, 40)[::-1])
    )


def test_a_share_is_rounded_to_whole_images():
    assert evaluate.wilson_interval(0.124, 100) == evaluate.wilson_interval(0.12, 100)
    assert evaluate.wilson_interval(0.126, 100) == evaluate.wilson_interval(0.13, 100)


@pytest.mark.parametrize("wrong", [(72, 100), (-0.1, 100), (math.nan, 100), (0.5, 0), (0.5, 100, 95)])
def test_no_interval_of_what_is_no_share(wrong):
    refusal(evaluate.wilson_interval, *wrong)


def test_no_values_have_no_mean():
    for function in (evaluate.mean_and_spread, evaluate.format_percent, lambda v: evaluate.welch(v, [1, 2])):
        assert refusal(function, []) == "There are no values to take a mean of: give at least one."


def test_values_may_come_in_a_tensor():
    shares = torch.tensor([0.5, 0.75])
    assert evaluate.mean_and_spread(shares) == evaluate.mean_and_spread([0.5, 0.75])
    assert evaluate.format_percent(shares) == "62.5 ± 17.7 %"
    assert evaluate.welch(shares, shares).value == 0


def test_mean_and_spread_divide_by_n_and_by_n_minus_one():
    assert evaluate.mean_and_spread([1, 2, 6]) == pytest.approx((3, math.sqrt((4 + 1 + 9) / 2)))
    mean, spread = evaluate.mean_and_spread(iter([0.7]))
    assert mean == 0.7 and math.isnan(spread)


def test_percentages_have_a_spread_where_there_are_seeds_to_compare():
    assert evaluate.format_percent([0.71, 0.72, 0.73]) == "72.0 ± 1.0 %"
    assert evaluate.format_percent([0.7, 0.8]) == "75.0 ± 7.1 %"
    assert evaluate.format_percent(iter([0.7194])) == "71.9 %"


def test_welchs_interval_is_its_formula():
    one, other = [3.0, 4.0, 8.0], [1.0, 1.5, 2.0, 2.5]
    v1, v2 = 7 / 3, (5 / 12) / 4  # the variances 7 and 5/12, divided by the numbers of values
    freedom = (v1 + v2) ** 2 / (v1**2 / 2 + v2**2 / 3)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(v1 + v2)
    assert evaluate.welch_interval(one, other) == pytest.approx((3.25, 3.25 - half, 3.25 + half))


def test_welchs_interval_of_two_pairs_by_hand():
    """Equal variances of two values each: two degrees of freedom, whose quantile is 4.3027."""
    difference, low, high = evaluate.welch_interval(iter([2.0, 4.0]), iter([1.0, 3.0]))
    assert (difference, low, high) == pytest.approx(
        (1, 1 - 4.302653 * math.sqrt(2), 1 + 4.302653 * math.sqrt(2))
    )


def test_welchs_p_is_where_the_interval_touches_zero():
    """An interval of confidence 1 - p ends at 0, on one side."""
    one, other = [3.0, 4.0, 8.0], [1.0, 1.5, 2.0, 2.5]
    found = evaluate.welch(one, other)
    assert evaluate.welch(one, other, confidence=1 - found.p).low == pytest.approx(0)
    assert found.standard_error == pytest.approx(math.sqrt(7 / 3 + (5 / 12) / 4))
    half = stats.t.ppf(0.975, found.degrees_of_freedom) * found.standard_error
    assert (found.low, found.high) == pytest.approx((3.25 - half, 3.25 + half))


def test_welchs_interval_where_one_side_has_no_spread_is_students():
    low, high = evaluate.welch_interval([5.0, 5.0], [1.0, 2.0, 3.0])[1:]
    half = stats.t.ppf(0.975, 2) * math.sqrt(1 / 3)
    assert (low, high) == pytest.approx((3 - half, 3 + half))


@pytest.mark.filterwarnings("error")
def test_welchs_interval_without_any_spread_is_the_difference():
    assert evaluate.welch_interval([3.0, 3.0], [1.0, 1.0]) == (2, 2, 2)
    assert evaluate.welch_interval([1.0, 1.0], [1.0, 1.0]) == (0, 0, 0)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(("one", "other"), [([3.0], [1.0, 2.0]), ([1.0, 2.0], [3.0]), ([3.0], [1.0])])
def test_welchs_interval_of_a_single_value_has_no_limits(one, other):
    difference, low, high = evaluate.welch_interval(one, other)
    assert difference == sum(one) / len(one) - sum(other) / len(other)
    assert math.isnan(low) and math.isnan(high) and math.isnan(evaluate.welch(one, other).p)


def test_wilsons_interval_holds_the_true_share_in_95_per_cent_of_the_samples():
    draws = np.random.default_rng(0).binomial(200, 0.72, 2_000)
    intervals = {right: evaluate.wilson_interval(right / 200, 200) for right in set(draws.tolist())}
    held = [intervals[right][0] <= 0.72 <= intervals[right][1] for right in draws.tolist()]
    assert 0.93 < np.mean(held) < 0.97


def test_welchs_interval_holds_the_true_difference_in_95_per_cent_of_the_samples():
    """Of samples with unlike sizes and spreads."""
    draws = np.random.default_rng(0)
    held = 0
    for _ in range(1_000):
        _, low, high = evaluate.welch_interval(draws.normal(2, 3, 5).tolist(), draws.normal(1, 1, 8).tolist())
        held += low <= 1 <= high
    assert 930 < held < 970


def test_a_large_spread_is_written_to_its_last_digit():
    assert evaluate.format_percent([0.0, 1.0]) == "50.0 ± 70.7 %"
