"""The page *All runs* in a browser: a reader sorts, filters and compares the recorded runs."""

import re
from functools import cache

import all_runs
import pytest
from browser import drive, missing

from cifar_lib import evaluate, runs

pytestmark = pytest.mark.skipif(missing() is not None, reason=str(missing()))


@cache
def seen():
    return drive("runs.mjs")


def mean_test(group):
    return sum(runs.results(group)) / len(group)


def test_every_group_has_a_row_with_and_without_javascript():
    groups = all_runs.groups()
    assert seen()["rows"] == [group[0].recipe.name for group in groups]
    assert seen()["count"] == f"{sum(map(len, groups))} runs in {len(groups)} rows"
    assert seen()["still"] == len(groups)


def test_the_keyboard_sorts_by_accuracy_both_ways():
    groups = sorted(all_runs.groups(), key=mean_test, reverse=True)
    best = [group[0].recipe.name for group in groups[:3]]
    assert seen()["sorted"] == best and seen()["order"] == "descending"
    assert seen()["turned"] == best


def test_a_search_keeps_the_rows_that_fit_and_says_when_none_does():
    assert seen()["filtered"] and all("shuffled" in name for name in seen()["filtered"])
    assert seen()["nothing"] == "No run fits. Ask for less, or start again."


def test_an_opened_row_has_the_command_and_a_record_for_each_seed():
    assert seen()["command"] == "python -m cifar_lib record paper --seeds 0-4 --folder redone"
    names = [address.rpartition("/cifar_lib/recorded/")[2] for address in seen()["records"]]
    assert names == [f"paper-seed{seed}.json" for seed in range(5)]


def test_a_third_choice_takes_the_place_of_the_first():
    assert [text.split(",")[0] for text in seen()["tray"]] == ["mlp", "mlp-shuffled"]
    assert seen()["checked"] == 2


def test_the_verdict_has_the_interval_of_the_library():
    first, second = (runs.load_runs(name) for name in ("mlp", "mlp-shuffled"))
    expected = [
        round(100 * value, 1) for value in evaluate.welch_interval(*map(runs.results, (first, second)))
    ]
    verdict = seen()["verdict"].replace("−", "-")
    difference, low, high = re.search(r"is ([\d.]+) points .* from (\S+) to (\S+) points", verdict).groups()
    assert [-float(difference), float(low), float(high)] == expected
    assert "worse than B" in verdict


def test_the_comparison_says_where_both_are_right_and_what_differs():
    counts = [int(text.split(": ")[1].replace(",", "")) for text in seen()["agreement"]]
    assert sum(counts) == pytest.approx(10_000, abs=2)
    assert seen()["differs"].split() == ["data", "cifar10", "cifar10/shuffled"]
    assert seen()["figures"] == 5
    assert seen()["redo"].splitlines() == [
        f"python -m cifar_lib record {name} --seeds 0-29 --folder redone" for name in ("mlp", "mlp-shuffled")
    ]


def test_the_library_of_charts_is_fetched_by_a_comparison_alone():
    assert not seen()["chartsBefore"] and seen()["chartsAfter"]


def test_a_comparison_has_an_address():
    assert seen()["address"].endswith("#compare=mlp,mlp-shuffled")
    assert seen()["again"] == seen()["verdict"]


def test_the_comparison_takes_the_focus_and_fits_a_narrow_screen():
    assert "runs-comparison" in seen()["focused"]
    assert seen()["excess"] <= 0
    assert seen()["errors"] == []


def test_an_open_comparison_can_be_used_by_all():
    assert seen()["violations"] == []
