"""How sure an accuracy or a difference is, when both the seeds and the images might have been others.

A recipe's accuracy varies with the seed and with the images that were drawn for the test, so an interval that
knows only one of the two is too short. `right` is bool [seeds, images] throughout: whether each trained
network is right about each image. Seeds and images are crossed random effects; the variance of the mean is

    σ²(seeds) / S + σ²(images) / N + σ²(rest) / (S N),

estimated from the mean squares of a two-way table (Searle, Casella and McCulloch 1992, chapter 4), with
Satterthwaite's degrees of freedom (1946). The tests simulate how often an interval holds the true value.
"""

import math
import statistics
import warnings
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import torch
from scipy import stats
from torch import Tensor

from .. import CourseError
from .statistics import check_confidence, numbers


@dataclass(frozen=True)
class Estimate:
    """A mean or a difference of means, with its interval.

    Args:
        value, low, high: in the unit of the data, here shares from 0 to 1.
        standard_error: of `value`.
        p: of a two-sided test that the true value is 0.
        degrees_of_freedom: of its t distribution.
    """

    value: float
    low: float
    high: float
    standard_error: float
    p: float
    degrees_of_freedom: float


def accuracy_interval(right: Tensor, confidence: float = 0.95) -> Estimate:
    """The accuracy of a recipe, with an interval over other seeds and other images.

    Args:
        right: bool [seeds, images], of at least two seeds and two images.

    Returns:
        An estimate whose limits are cut at 0 and 1, because no accuracy lies beyond them.

    Raises:
        CourseError: there is one seed, which says nothing about others, or one image, or `right` is no such
            tensor.
    """
    _check_answers(right, ("seeds", "images"))
    table = _table(right)
    means = [(table.seeds, right.shape[0]), (table.images, right.shape[1])]
    found = _estimate(table.mean, means, table.rest, confidence)
    return replace(found, low=max(found.low, 0.0), high=min(found.high, 1.0))


def difference_interval(first: Tensor, second: Tensor, confidence: float = 0.95) -> Estimate:
    """How much larger the accuracy of `first` is: seeds are independent, images are the same.

    Args:
        first: bool [seeds, images], or float, a score of each image.
        second: the same [other seeds, the same images].

    Raises:
        CourseError: a side has one seed, there is one image, the sides have other numbers of images, or they
            are no such tensors.
    """
    for side in (first, second):
        _check_answers(side, ("seeds", "images"), scores=True)
    if first.shape[1] != second.shape[1]:
        raise CourseError(
            f"The two sides have {first.shape[1]:,} and {second.shape[1]:,} images, and cannot be paired."
        )
    one, other = _table(first), _table(second)
    gaps = first.double().mean(0) - second.double().mean(0)
    images = gaps.var().item() / len(gaps)
    means = [(one.seeds, len(first)), (other.seeds, len(second)), (images, len(gaps))]
    return _estimate(one.mean - other.mean, means, one.rest + other.rest, confidence)


def welch(first: Iterable[float], second: Iterable[float], confidence: float = 0.95) -> Estimate:
    """By how much the mean of `first` exceeds that of `second`: Welch's test, which knows of the seeds alone.

    With the means m, the sample standard deviations s and the numbers n of the values, the interval is::

        m₁ − m₂ ± t √(v₁ + v₂),   v = s² / n

    t is the quantile of Student's t distribution, 97.5 % for an interval of 95 %, with this many degrees of
    freedom::

        (v₁ + v₂)² / (v₁² / (n₁ − 1) + v₂² / (n₂ − 1))

    The two spreads need not be equal, and the values should be roughly normally distributed.

    Source: Welch (1947), "The Generalization of 'Student's' Problem When Several Different Population
    Variances Are Involved"; the degrees of freedom are those of his first approximation.

    Args:
        first, second: one value per seed.

    Returns:
        An estimate in the unit of the values. All but its value is nan where one side has a single value;
        where neither side has any spread, the limits are the difference itself, and p is 1 where that is 0,
        else 0.

    Raises:
        CourseError: a side has no values, or the confidence is not between 0 and 1.
    """
    check_confidence(confidence)
    first, second = numbers(first), numbers(second)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # scipy's, where the limits are nan
        found = stats.ttest_ind(first, second, equal_var=False)
        low, high = found.confidence_interval(confidence)
    value = statistics.fmean(first) - statistics.fmean(second)
    error = math.sqrt(sum(_variance_of_mean(side) for side in (first, second)))
    p = float(value == 0) if error == 0 else float(found.pvalue)  # scipy's is nan for equal means
    return Estimate(value, float(low), float(high), error, p, float(found.df))


def welch_interval(first: Iterable[float], second: Iterable[float]) -> tuple[float, float, float]:
    """The difference of `welch` and its 95 % interval, as (difference of the means, low, high)."""
    found = welch(first, second)
    return found.value, found.low, found.high


def mcnemar(first: Tensor, second: Tensor) -> tuple[int, int, float]:
    """Whether two networks differ, by the images that only one of them gets right.

    The exact test. Source: McNemar (1947).

    Args:
        first, second: bool [N], whether each network is right about each image.

    Returns:
        Images that `first` alone gets right, those that `second` alone does, and p, two-sided.

    Raises:
        CourseError: they are no such tensors, or of other numbers of images.
    """
    for side in (first, second):
        _check_answers(side, ("images",))
    if len(first) != len(second):
        raise CourseError(
            f"The two networks answered {len(first):,} and {len(second):,} images, and cannot be paired."
        )
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    differing = only_first + only_second
    p = stats.binomtest(only_first, differing).pvalue if differing else 1.0
    return only_first, only_second, float(p)


def holm(p_values: Sequence[float]) -> list[float]:
    """P-values corrected for their number.

    Where no difference is real, the chance that even one corrected value lies below 0.05 is at most 5 per
    cent. From the smallest on, each value is multiplied by the number of those not yet corrected, and is
    at least as large as the corrected one before it. Source: Holm (1979).
    """
    order = sorted(range(len(p_values)), key=lambda i: p_values[i])
    corrected, largest = [0.0] * len(p_values), 0.0
    for rank, index in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[index]))
        corrected[index] = largest
    return corrected


def minimum_detectable_difference(
    spread: float, seeds: int, power: float = 0.8, level: float = 0.05
) -> float:
    """The difference of two means that a t-test detects with probability `power`.

    The test is two-sided and assumes equal spreads; its power is that of the noncentral t distribution.

    Args:
        spread: standard deviation over seeds, in any unit; the difference has the same unit.
        seeds: per side, at least two.
    """
    freedom = 2 * (seeds - 1)
    limit = stats.t.ppf(1 - level / 2, freedom)

    def seen(shift):
        return stats.nct.sf(limit, freedom, shift) + stats.nct.cdf(-limit, freedom, shift)

    # In standard errors. So far above the limit every difference is seen, and much farther on SciPy's
    # noncentral t distribution gives no numbers.
    low, high = 0.0, limit + 10
    for _ in range(60):
        middle = (low + high) / 2
        low, high = (low, middle) if seen(middle) > power else (middle, high)
    return float(high) * spread * math.sqrt(2 / seeds)


def _variance_of_mean(values):
    return statistics.variance(values) / len(values) if len(values) > 1 else math.nan


@dataclass(frozen=True)
class _Table:
    """The mean of a two-way table, its variance over seeds and over images, and the part in both."""

    mean: float
    seeds: float
    images: float
    rest: float


def _check_answers(right, axes, scores=False):
    """Make sure that these tell what is right: counts, or the classes themselves, would give numbers too."""
    is_tensor = isinstance(right, Tensor) and right.ndim == len(axes)
    if not is_tensor or not (right.dtype == torch.bool or (scores and right.is_floating_point())):
        words = [type(right).__name__]
        if isinstance(right, Tensor):
            words = [str(right.dtype).removeprefix("torch."), str([*right.shape])]
        raise CourseError(
            f"Whether networks are right is a tensor bool [{', '.join(axes)}], not {' '.join(words)}: "
            f"runs.right_answers makes one of [seeds, images]."
        )


def _table(right):
    rows, columns = right.shape
    if rows < 2:
        raise CourseError("One seed says nothing about others: compare at least two.")
    if columns < 2:
        raise CourseError("One image says nothing about others: take at least two.")
    values = right.double()
    of_seeds, of_images, mean = values.mean(1), values.mean(0), values.mean()
    rest = values - of_seeds[:, None] - of_images[None, :] + mean
    square = rest.square().sum() / ((rows - 1) * (columns - 1))
    return _Table(
        mean=mean.item(),
        seeds=of_seeds.var().item() / rows,
        images=of_images.var().item() / columns,
        rest=square.item() / (rows * columns),
    )


def _estimate(value, means, rest, confidence):
    """The t interval of a value.

    Args:
        means: (variance, number) of each mean that it is made of.
        rest: the variance that two of them contain, which counts only once.
    """
    check_confidence(confidence)
    parts = [variance for variance, _ in means]
    # The estimate of the rest may by chance be too large, but no sum is smaller than its largest part.
    variance = max(sum(parts) - rest, *parts)
    if variance == 0:
        return Estimate(value, value, value, 0.0, 1.0 if value == 0 else 0.0, math.inf)
    freedom = variance**2 / sum(part**2 / (number - 1) for part, number in means)
    error = math.sqrt(variance)
    half = float(stats.t.ppf((1 + confidence) / 2, freedom)) * error
    p = float(2 * stats.t.sf(abs(value) / error, freedom))
    return Estimate(value, value - half, value + half, error, p, freedom)
