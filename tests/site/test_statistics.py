"""The arithmetic of the live parts gives the numbers of `cifar_lib` and of scipy."""

import itertools
import json
import shutil
import subprocess
from pathlib import Path

import all_runs
import luck
import pytest
from scipy import stats

from cifar_lib import evaluate, runs

HERE = Path(__file__).parent
EXPERIMENTS = 4_000

pytestmark = pytest.mark.skipif(not shutil.which("node"), reason="no Node: apt-get install nodejs npm")


def ask(**questions):
    done = subprocess.run(
        ["node", "arithmetic.mjs"],
        cwd=HERE,
        input=json.dumps(questions),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_quantiles_are_those_of_scipy():
    freedoms = [1, 1.3, 2, 2.7, 4, 10, 29.5, 58, 1e3, 1e5]
    expected = [stats.t.ppf(0.975, freedom) for freedom in freedoms]
    assert ask(freedoms=freedoms)["quantiles"] == pytest.approx(expected, rel=1e-9)


def test_the_difference_of_any_two_rows_is_that_of_the_library():
    groups = [group for group in all_runs.groups() if len(group) > 1]
    chosen = list(itertools.combinations(groups, 2))[::25]  # all of them take a minute
    answers = ask(pairs=[[runs.results(first), runs.results(second)] for first, second in chosen])
    for answer, (first, second) in zip(answers["intervals"], chosen, strict=True):
        assert answer == pytest.approx(
            evaluate.welch_interval(*map(runs.results, (first, second))), rel=1e-9, abs=1e-12
        )


def test_a_single_seed_and_no_spread_are_treated_as_in_the_library():
    single, without = ask(pairs=[[[0.5], [0.4, 0.45]], [[0.5, 0.5], [0.25, 0.25]]])["intervals"]
    assert single[1:] == [None, None]  # JSON has no nan
    assert without == list(evaluate.welch_interval([0.5, 0.5], [0.25, 0.25]))


def test_percentages_are_written_as_in_the_library():
    shares = [[0.7213], [0.5, 0.6, 0.7], [0.123, 0.456]]
    expected = [evaluate.format_percent(several).removesuffix(" %") for several in shares]
    assert [text.replace("\N{NO-BREAK SPACE}", " ") for text in ask(shares=shares)["percents"]] == expected


def test_simulated_experiments_agree_with_those_of_the_page():
    content = luck.as_json()
    names = ("difference", "spread", "seeds", "images", "own")
    settings = [{name: preset[name] for name in names} for preset in content["presets"]]
    images = {name: content[name] for name in ("disagreement", "own")}
    answers = ask(settings=settings, images=images, experiments=EXPERIMENTS)["summaries"]
    for answer, asked in zip(answers, settings, strict=True):
        expected = luck.called_different(**asked)
        error = (expected * (1 - expected) / EXPERIMENTS) ** 0.5
        assert answer["called"] == pytest.approx(expected, abs=4 * error)
        if not asked["own"]:
            assert answer["covered"] > 0.94  # Welch's intervals keep what they promise
