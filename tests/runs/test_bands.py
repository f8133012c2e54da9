"""Trainings end where they ended before, within what chance allows.

`bands.json` holds, for two epochs of each recipe in its quick form, the test accuracy and test loss of
seeds 0 to 19. A test trains other seeds, as many as `SEEDS` says, and compares their mean with the band

    mean of the 20 ± k · spread of the 20,   k = t · √(1/20 + 1/seeds),

where the spread is the sample standard deviation and t is the point that Student's t of 19 degrees of
freedom passes in `FALSE_ALARMS` of cases (both sides): the prediction interval of a mean, exact where
values are normal. With three recipes and two bands each, one run of all these tests on a new machine fails by
chance in at most 0.6 % of cases. On one machine nothing is left to chance: seeds are fixed.

    python tests/runs/test_bands.py      measure again, and write `bands.json`
"""

import json
import math
import os
from pathlib import Path

import pytest
import torch
from scipy import stats

from cifar_lib import evaluate, recipes, runs
from cifar_lib.data import generated
from cifar_lib.system import device
from cifar_lib.system.files import atomic_write

FILE = Path(__file__).with_name("bands.json")
SEEDS = {"mlp-mnist": 4, "mlp": 3, "small": 3}
MEASURED = ("test_accuracy", "test_loss")
FALSE_ALARMS = 0.001


def results(name, seeds):
    """What some seeds of a quick recipe end with: {"test_accuracy": [...], "test_loss": [...]}.

    Two epochs each, because results after a single one differ so much from seed to seed that a band would
    hold almost any.
    """
    recipe = recipes.get(name).quick().replace(epochs=2)
    done = [runs.run(recipe, seed=seed, device="cpu").result for seed in seeds]
    return {key: [result[key] for result in done] for key in MEASURED}


def band(values, seeds):
    """Where the mean of so many other seeds lies, but for `FALSE_ALARMS` of cases: (low, high)."""
    mean, spread = evaluate.mean_and_spread(values)
    t = stats.t.ppf(1 - FALSE_ALARMS / 2, len(values) - 1)
    reach = t * math.sqrt(1 / len(values) + 1 / seeds) * spread
    return mean - reach, mean + reach


@pytest.fixture
def whole_images(monkeypatch):
    """The quick profile as a reader has it: all toy images, not the few of the other tests."""
    monkeypatch.setenv("CIFAR_PROFILE", "quick")
    monkeypatch.setitem(generated.GENERATORS, "toy", generated.toy)


@pytest.mark.parametrize(
    "name", [name if "mlp" in name else pytest.param(name, marks=pytest.mark.long) for name in SEEDS]
)
def test_a_quick_recipe_ends_within_its_band(name, whole_images):
    kept = json.loads(FILE.read_text())["results"][name]
    first = len(kept["test_accuracy"])  # seeds that the band has not seen
    found = results(name, range(first, first + SEEDS[name]))
    for key in MEASURED:
        low, high = band(kept[key], SEEDS[name])
        mean, _ = evaluate.mean_and_spread(found[key])
        assert low <= mean <= high, f"{key} of {name}: {mean:.4f} is not between {low:.4f} and {high:.4f}"


def test_the_band_holds_what_it_should_and_no_more():
    """20 000 bands from normal values, each with its mean of three more: as many fall outside as it says."""
    draws = torch.randn(20_000, 23, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    spread, mean = draws[:, :20].std(1), draws[:, :20].mean(1)
    low, high = band([-1.0, 1.0] * 10, 3)
    reach = (high - low) / 2 / math.sqrt(20 / 19)  # in spreads: those of the 20 values above are √(20/19)
    outside = ((draws[:, 20:].mean(1) - mean).abs() > reach * spread).sum().item()
    assert stats.binomtest(outside, len(draws), FALSE_ALARMS).pvalue > 0.001


def measure():
    os.environ["CIFAR_PROFILE"] = "quick"
    torch.set_num_threads(1)
    content = {
        "made by": "python tests/runs/test_bands.py: seeds 0 to 19, two epochs of each quick recipe",
        "device": device.describe(torch.device("cpu")),
        "torch": torch.__version__,
        "results": {name: results(name, range(20)) for name in SEEDS},
    }
    with atomic_write(FILE) as aside:
        aside.write_text(json.dumps(content, indent=1) + "\n")


if __name__ == "__main__":
    measure()
