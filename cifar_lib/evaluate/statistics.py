"""Means, spreads and intervals of results, each of one image set or one seed."""

import statistics
import warnings
from collections.abc import Iterable

from scipy import stats


def mean_and_spread(values: Iterable[float]) -> tuple[float, float]:
    """Mean and sample standard deviation; the spread of a single value is nan."""
    values = list(values)
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else float("nan")


def format_percent(shares: Iterable[float]) -> str:
    """Shares from 0 to 1, one per seed, as '71.9 ± 0.4 %', or '71.9 %' where there is one."""
    shares = list(shares)
    mean, spread = mean_and_spread(shares)
    return f"{100 * mean:.1f} %" if len(shares) == 1 else f"{100 * mean:.1f} ± {100 * spread:.1f} %"


def interval(share: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's interval of a share seen in n images: (low, high). Source: Wilson (1927)."""
    found = stats.binomtest(round(share * n), n).proportion_ci(confidence, method="wilson")
    return found.low, found.high


def welch_interval(first: Iterable[float], second: Iterable[float]) -> tuple[float, float, float]:
    """How much larger the mean of `first` is, with the 95 % interval of Welch's t-test over seeds.

    Source: Welch (1947).

    Returns:
        (difference of the means, low, high), in the values' own unit.
    """
    first, second = list(first), list(second)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # equal values have no spread, one has none either
        found = stats.ttest_ind(first, second, equal_var=False).confidence_interval(0.95)
    return statistics.fmean(first) - statistics.fmean(second), float(found.low), float(found.high)
