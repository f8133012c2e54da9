"""What the page *Luck* says follows from the records."""

from itertools import combinations

import luck
import numpy as np
import pytest
from scipy import stats

from cifar_lib import evaluate, runs


def test_three_seeds_are_judged_as_the_library_judges_them():
    differences, called, apart = luck.three_seeds()
    first, second = luck.accuracies(luck.PLAIN), luck.accuracies(luck.SHUFFLED)
    chosen = list(combinations(range(30), 3))
    assert len(chosen) == len(differences)
    for place in (0, 1, 2000, int(np.argmax(called)), int(np.argmax(apart)), len(chosen) - 1):
        one, other = first[list(chosen[place])], second[list(chosen[place])]
        difference, low, high = evaluate.welch_interval(one, other)
        assert differences[place] == pytest.approx(difference)
        assert called[place] == (low > 0 or high < 0)
        assert apart[place] == (min(one) > max(other) or max(one) < min(other))


def test_the_accuracies_are_those_of_the_records():
    recorded = runs.load_runs(luck.PLAIN)
    assert luck.accuracies(luck.PLAIN) == pytest.approx(runs.results(recorded))


def test_the_spread_of_seeds_and_the_luck_of_images_add_up_to_the_measured_spread():
    measured = np.std(luck.accuracies(luck.PLAIN), ddof=1)
    of_images = luck.disagreement() / (2 * 10_000)
    assert luck.seed_spread() ** 2 + of_images == pytest.approx(measured**2)


@pytest.mark.parametrize("seeds", [5, 30])
def test_equal_methods_are_called_different_once_in_twenty(seeds):
    assert luck.called_different(0, 0.5, seeds, 10_000) == pytest.approx(0.05, abs=0.012)


def test_more_seeds_find_a_difference_and_images_of_their_own_feign_one():
    few, many = (luck.called_different(1, 0.5, seeds, 10_000) for seeds in (3, 30))
    assert few < 0.5 < 0.99 < many
    assert luck.called_different(0, 0.5, 30, 1_017, own=True) > 0.3


def test_the_text_has_the_interval_of_the_library():
    first, second = luck.accuracies(luck.PLAIN), luck.accuracies(luck.SHUFFLED)
    text = "\n".join(luck.ShuffleVerdict.lines(None))
    difference, low, high = map(luck.points, evaluate.welch_interval(second, first))
    assert f"{difference} points more, with a 95 % interval from {low} to {high}" in text


def test_what_the_text_says_of_zero_is_so():
    first, second = luck.accuracies(luck.PLAIN), luck.accuracies(luck.SHUFFLED)
    _, low, high = evaluate.welch_interval(second, first)
    _, early, _ = luck.early_difference()
    paired = stats.ttest_rel(second, first).confidence_interval(0.95)
    assert low < 0 < high and early > 0 and paired.low > 0


def test_the_presets_stand_on_the_steps_of_the_sliders():
    for preset in luck.as_json()["presets"]:
        for name in ("difference", "spread"):
            assert preset[name] / 0.05 == pytest.approx(round(preset[name] / 0.05))
        assert preset["images"] in (1_017, 10_000)
