"""Intervals over seeds and images: worked out in other ways, and simulated."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from cifar_lib import CourseError
from cifar_lib.evaluate import comparisons


def drawn(generator, seeds, images, gap=0.0, seed_spread=0.01, image_spread=1.5):
    """Networks that are right with a chance that depends on the image and, a little, on the seed."""
    hard = torch.randn(images, generator=generator) * image_spread + 1.2
    return hard, right_about(generator, hard, seeds, gap, seed_spread)


def right_about(generator, hard, seeds, gap=0.0, seed_spread=0.01):
    lucky = torch.randn(seeds, 1, generator=generator) * seed_spread * 6
    chance = torch.sigmoid(hard + lucky + gap)
    return torch.rand(seeds, len(hard), generator=generator) < chance


def test_with_images_that_are_all_alike_only_the_seeds_count():
    """Each network is right about all images or none: the interval is that of a t-test over seeds."""
    right = torch.tensor([True, True, True, False, True])[:, None].expand(5, 40)
    found = comparisons.accuracy_interval(right)
    shares = [1, 1, 1, 0, 1]
    low, high = stats.t.interval(0.95, 4, 0.8, stats.sem(shares))
    assert (found.value, found.low, found.high) == pytest.approx((0.8, low, min(high, 1.0)))
    assert found.degrees_of_freedom == pytest.approx(4)


def test_with_seeds_that_are_all_alike_only_the_images_count():
    answers = torch.arange(50) % 5 > 0
    found = comparisons.accuracy_interval(answers.expand(3, 50))
    low, high = stats.t.interval(0.95, 49, 0.8, stats.sem(answers.double().numpy()))
    assert (found.value, found.low, found.high) == pytest.approx((0.8, low, min(high, 1.0)))


def test_the_variance_is_that_of_a_two_way_table_by_hand():
    right = torch.tensor([[1, 1, 0, 1], [1, 0, 0, 1]]).bool()
    # Means 5/8; of seeds 3/4 and 1/2, of images 1, 1/2, 0, 1. Squares of what is left: 8 · (1/8)² each way.
    seeds, images = (2 / 64) / 1 / 2, (9 / 64 + 1 / 64 + 25 / 64 + 9 / 64) / 3 / 4
    left = sum(
        (value - row - column + 5 / 8) ** 2
        for row, values in ((3 / 4, (1, 1, 0, 1)), (1 / 2, (1, 0, 0, 1)))
        for column, value in zip((1, 1 / 2, 0, 1), values, strict=True)
    )
    variance = seeds + images - left / 3 / 8
    found = comparisons.accuracy_interval(right)
    assert found.standard_error**2 == pytest.approx(variance)
    assert found.degrees_of_freedom == pytest.approx(variance**2 / (seeds**2 / 1 + images**2 / 3))


def test_the_variance_of_a_difference_by_hand():
    """Two seeds against three on the same four images."""
    sides = [
        np.array([[1, 1, 0, 1], [1, 0, 0, 0]]),
        np.array([[0, 1, 0, 0], [0, 0, 0, 1], [0, 0, 0, 0]]),
    ]
    seeds = [side.mean(1).var(ddof=1) / len(side) for side in sides]
    images = (sides[0].mean(0) - sides[1].mean(0)).var(ddof=1) / 4
    left = [side - side.mean(1, keepdims=True) - side.mean(0) + side.mean() for side in sides]
    rest = [(part**2).sum() / ((len(part) - 1) * 3) / part.size for part in left]
    variance = sum(seeds) + images - sum(rest)
    assert variance > max(*seeds, images)
    found = comparisons.difference_interval(*(torch.from_numpy(side).bool() for side in sides))
    assert found.standard_error**2 == pytest.approx(variance)
    assert found.degrees_of_freedom == pytest.approx(
        variance**2 / (seeds[0] ** 2 / 1 + seeds[1] ** 2 / 2 + images**2 / 3)
    )


@pytest.mark.parametrize("confidence", [0.5, 0.95, 0.99])
def test_an_interval_is_as_wide_as_the_confidence_asks(confidence):
    generator = torch.Generator().manual_seed(0)
    hard, first = drawn(generator, 3, 200)
    second = right_about(generator, hard, 3)
    for found in (
        comparisons.accuracy_interval(first, confidence),
        comparisons.difference_interval(first, second, confidence),
    ):
        inside = stats.t.cdf((found.high - found.value) / found.standard_error, found.degrees_of_freedom)
        assert inside - (1 - inside) == pytest.approx(confidence)
        assert found.value - found.low == pytest.approx(found.high - found.value)


def test_a_difference_pairs_the_images():
    """Two recipes that fail on the same images differ more surely than two that fail on any."""
    generator = torch.Generator().manual_seed(0)
    hard, first = drawn(generator, 5, 2_000, gap=0.3)
    same = right_about(generator, hard, 5)
    others = same[:, torch.randperm(2_000, generator=generator)]
    paired, unpaired = (comparisons.difference_interval(first, second) for second in (same, others))
    assert paired.value == pytest.approx(unpaired.value)
    assert paired.standard_error < 0.8 * unpaired.standard_error
    back = comparisons.difference_interval(same, first)
    assert (back.value, back.low, back.high) == pytest.approx((-paired.value, -paired.high, -paired.low))


def test_a_difference_is_no_surer_than_welchs_test_over_seeds_alone():
    one = torch.tensor([0.71, 0.73, 0.75])
    other = torch.tensor([0.70, 0.66])
    images = torch.arange(100)[None, :]
    first, second = (images < (100 * shares[:, None]).round() for shares in (one, other))
    found = comparisons.difference_interval(first[:, :], second)
    test = stats.ttest_ind(one.numpy(), other.numpy(), equal_var=False)
    assert found.value == pytest.approx(0.05)
    # The images add to the error, so the interval is no shorter than Welch's standard error allows.
    welch = (one.var() / 3 + other.var() / 2).sqrt().item()
    assert found.standard_error >= welch * 0.999 and found.p > 0.5 * test.pvalue


@pytest.mark.parametrize(
    ("seeds", "images", "least"), [(3, 800, 0.93), (5, 800, 0.93), (3, 5_000, 0.91), (5, 5_000, 0.92)]
)
def test_intervals_of_an_accuracy_cover_95_per_cent(seeds, images, least):
    """The truth is the mean chance over all images and seeds, from 4 million draws.

    With many images and few seeds the interval is slightly too short, as How we decide says.
    """
    generator = torch.Generator().manual_seed(seeds)
    truth = torch.sigmoid(
        torch.randn(4_000_000, generator=generator).mul(1.5).add(1.2)
        + torch.randn(4_000_000, generator=generator) * 0.06
    ).mean()
    covered = 0
    for _ in range(600):
        _, right = drawn(generator, seeds, images)
        found = comparisons.accuracy_interval(right)
        covered += found.low <= truth <= found.high
    assert least <= covered / 600 <= 0.98


@pytest.mark.parametrize("seeds", [3, 5])
def test_equal_recipes_differ_in_5_per_cent_of_cases(seeds):
    generator, wrong = torch.Generator().manual_seed(seeds), 0
    for _ in range(600):
        hard, first = drawn(generator, seeds, 800, seed_spread=0.03)
        second = right_about(generator, hard, seeds, seed_spread=0.03)
        found = comparisons.difference_interval(first, second)
        wrong += found.p < 0.05
        assert (found.p < 0.05) == (not found.low <= 0 <= found.high)
    assert 0.02 <= wrong / 600 <= 0.07


def test_one_seed_is_refused():
    with pytest.raises(CourseError, match="One seed says nothing about others"):
        comparisons.accuracy_interval(torch.ones(1, 9).bool())
    with pytest.raises(CourseError, match="9 and 8 images"):
        comparisons.difference_interval(torch.ones(2, 9).bool(), torch.ones(2, 8).bool())


def test_scores_of_images_are_compared_as_answers_are():
    generator = torch.Generator().manual_seed(0)
    hard, first = drawn(generator, 3, 40)
    second = right_about(generator, hard, 4)
    expected = comparisons.difference_interval(first, second)
    assert comparisons.difference_interval(first.double(), second.double()) == expected
    twice = comparisons.difference_interval(2 * first.double(), 2 * second.double())
    assert (twice.value, twice.high) == pytest.approx((2 * expected.value, 2 * expected.high))


def test_one_image_is_refused():
    with pytest.raises(CourseError, match="One image says nothing about others"):
        comparisons.accuracy_interval(torch.ones(2, 1).bool())


def test_without_any_spread_the_interval_is_a_point():
    found = comparisons.accuracy_interval(torch.ones(2, 9).bool())
    assert (found.value, found.low, found.high, found.p) == (1, 1, 1, 0)
    assert (found.standard_error, found.degrees_of_freedom) == (0, math.inf)
    same = comparisons.difference_interval(torch.ones(2, 9).bool(), torch.ones(3, 9).bool())
    assert (same.value, same.p) == (0, 1)


def test_mcnemar_counts_what_one_alone_gets_right():
    first = torch.tensor([True] * 9 + [False] * 2 + [True] * 5)
    second = torch.tensor([False] * 9 + [True] * 2 + [True] * 5)
    only_first, only_second, p = comparisons.mcnemar(first, second)
    assert (only_first, only_second) == (9, 2)
    assert p == pytest.approx(2 * (1 + 11 + 55) / 2**11)  # two or fewer of eleven fair coins, both ways
    assert comparisons.mcnemar(first, first) == (0, 0, 1)


TABLE = torch.eye(3, 8).bool()


@pytest.mark.parametrize("right", [TABLE[0], TABLE.long(), TABLE.double().mean(1), TABLE.tolist()])
def test_an_interval_takes_whether_each_network_is_right_about_each_image(right):
    """One network's answers, counts and accuracies are something else."""
    for interval in (
        lambda: comparisons.accuracy_interval(right),
        lambda: comparisons.difference_interval(right, TABLE),
        lambda: comparisons.difference_interval(TABLE, right),
    ):
        with pytest.raises(CourseError, match=r"is a tensor bool \[seeds, images\], not"):
            interval()


@pytest.mark.parametrize("first", [TABLE, TABLE[0].long(), TABLE[0].tolist()])
def test_mcnemar_takes_two_networks_and_whether_they_are_right(first):
    """Several seeds would count as one network on other images, and predicted classes as no difference."""
    with pytest.raises(CourseError, match=r"is a tensor bool \[images\], not"):
        comparisons.mcnemar(first, first)


def test_mcnemar_takes_the_same_images():
    with pytest.raises(CourseError, match="8 and 1 images"):
        comparisons.mcnemar(TABLE[0], TABLE[0, :1])


def test_holm_by_hand():
    assert comparisons.holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert comparisons.holm([0.6, 0.7]) == [1, 1]
    assert comparisons.holm([]) == []


@pytest.mark.parametrize(
    ("seeds", "power", "level"), [(5, 0.8, 0.05), (2, 0.8, 0.05), (30, 0.8, 0.05), (5, 0.3, 0.2)]
)
def test_the_minimum_detectable_difference_is_seen_in_the_wanted_share_of_cases(seeds, power, level):
    gap = comparisons.minimum_detectable_difference(0.5, seeds, power, level)
    generator = torch.Generator().manual_seed(1)
    sides = torch.randn(2, seeds, 10_000, generator=generator, dtype=torch.float64) * 0.5
    p = stats.ttest_ind(sides[0].numpy() + gap, sides[1].numpy()).pvalue
    assert (p < level).mean() == pytest.approx(power, abs=0.015)


def test_the_minimum_detectable_difference_grows_with_the_spread_and_shrinks_with_the_seeds():
    """It is one of 80 per cent of cases at the level of 5 per cent, unless others are asked for."""
    gap = comparisons.minimum_detectable_difference(0.5, 5)
    assert gap == comparisons.minimum_detectable_difference(0.5, 5, 0.8, 0.05)
    assert comparisons.minimum_detectable_difference(1.0, 5) == pytest.approx(2 * gap)
    assert (
        comparisons.minimum_detectable_difference(0.5, 3)
        > gap
        > comparisons.minimum_detectable_difference(0.5, 10)
    )


@pytest.mark.parametrize(("other", "p"), [(0.5, 1.0), (0.25, 0.0)])
def test_welch_without_any_spread_has_the_p_of_certainty(other, p):
    found = comparisons.welch([0.5, 0.5], [other, other])
    assert (found.low, found.high, found.p) == (0.5 - other, 0.5 - other, p)


@pytest.mark.parametrize("confidence", [95, 0, 1, -0.5])
def test_a_confidence_in_per_cent_is_refused_and_gives_no_nan(confidence):
    right = torch.eye(3, 8).bool()
    for interval in (
        lambda: comparisons.accuracy_interval(right, confidence),
        lambda: comparisons.difference_interval(right, ~right, confidence),
        lambda: comparisons.welch([0.1, 0.2], [0.3, 0.5], confidence),
    ):
        with pytest.raises(CourseError, match="between 0 and 1"):
            interval()


def test_no_interval_of_an_accuracy_reaches_beyond_0_and_1():
    right = torch.tensor([[True] * 99 + [False], [True] * 90 + [False] * 10])
    found = comparisons.accuracy_interval(right)
    assert found.low < found.value < found.high == 1
    assert comparisons.accuracy_interval(~right).low == 0
