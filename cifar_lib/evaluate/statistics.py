"""Means and spreads of results, and the confidence interval of a share."""

import statistics
from collections.abc import Iterable

from scipy import stats

from .. import CourseError


def numbers(values: Iterable[float]) -> list[float]:
    """The values as plain numbers, also those of a tensor or an array.

    Raises:
        CourseError: there are none.
    """
    found = [float(value) for value in values]
    if not found:
        raise CourseError("There are no values to take a mean of: give at least one.")
    return found


def check_confidence(confidence: float) -> None:
    """Make sure that a confidence is no percentage.

    Raises:
        CourseError: it is not between 0 and 1.
    """
    if not 0 < confidence < 1:
        raise CourseError(f"The confidence is a number between 0 and 1, as 0.95, not {confidence!r}.")


def mean_and_spread(values: Iterable[float]) -> tuple[float, float]:
    """Mean and sample standard deviation (division by n − 1), which is nan for a single value.

    Raises:
        CourseError: there are no values.
    """
    values = numbers(values)
    return statistics.fmean(values), statistics.stdev(values) if len(values) > 1 else float("nan")


def format_percent(shares: Iterable[float]) -> str:
    """Shares from 0 to 1, one per seed, as '71.9 ± 0.4 %': mean and sample standard deviation.

    A single share has no spread: '71.9 %'.

    Raises:
        CourseError: there are no shares.
    """
    shares = numbers(shares)
    mean, spread = mean_and_spread(shares)
    return f"{100 * mean:.1f} %" if len(shares) == 1 else f"{100 * mean:.1f} ± {100 * spread:.1f} %"


def wilson_interval(share: float, n: int, confidence: float = 0.95) -> tuple[float, float]:
    """Wilson's confidence interval for a share p that was observed in n images::

        (p + z²/2n ± z √(p (1 − p)/n + z²/4n²)) / (1 + z²/n)

    z is the quantile of the normal distribution at (1 + confidence) / 2, 1.96 for 95 %. Unlike p ± z times
    the standard error, the interval stays within 0 and 1, and it has a width at p = 0 and p = 1.

    Source: Wilson (1927), "Probable Inference, the Law of Succession, and Statistical Inference".

    Args:
        share: 0 to 1; share · n is rounded to a whole number of images.

    Returns:
        (low, high), each 0 to 1.

    Raises:
        CourseError: the share or the confidence is not in its range, or there are no images.
    """
    check_confidence(confidence)
    if not 0 <= share <= 1:
        raise CourseError(f"A share is a number from 0 to 1, as 0.72 for 72 %, not {share!r}.")
    if n < 1:
        raise CourseError(f"A share of {n} images has no interval: take at least one.")
    found = stats.binomtest(round(share * n), n).proportion_ci(confidence, method="wilson")
    return float(found.low), float(found.high)
