"""Switch off a path: what the page shows is what was measured, by mouse, keyboard and touch."""

import json
from functools import cache
from pathlib import Path

import pytest
from browser import drive, missing

MEASURED = json.loads(
    (Path(__file__).parents[2] / "book" / "_static" / "live" / "paths.json").read_text(encoding="utf-8")
)
NETWORKS = MEASURED["networks"]
PAPER = NETWORKS["paper-seed0"]


@cache
def driven():
    """What `site/paths.mjs` read off the page after each act."""
    return drive("paths.mjs")


needs_browser = pytest.mark.skipif(missing() is not None, reason=str(missing()))


def shown(percent):
    return f"{percent:.1f} %"


@needs_browser
def test_switches_silence_parts_in_any_combination():
    found = driven()
    assert found["whole"] == found["back"] == shown(PAPER["parts"][""])
    assert found["skip"]["value"] == shown(PAPER["parts"]["skip"])
    assert found["both"]["value"] == shown(PAPER["parts"]["conv3+skip"])
    assert "Without conv3 and skip" in found["both"]["words"] and "guessing" in found["both"]["words"]


@needs_browser
def test_a_channel_can_be_silenced_by_the_keyboard_alone():
    second = sorted(value for value in PAPER["channels"]["conv3"] if value is not None)[1]
    assert driven()["channel"]["value"] == shown(second) and driven()["channel"]["pressed"] == 1
    assert "of conv3 is silent" in driven()["channel"]["words"]


@needs_browser
def test_another_seed_is_another_network():
    assert driven()["seed1"]["value"] == shown(NETWORKS["paper-seed1"]["parts"][""])
    assert f"{NETWORKS['paper-seed1']['folded']['percent']} % of their weights" in driven()["seed1"]["facts"]
    assert driven()["seed2"] == shown(NETWORKS["paper-seed2"]["parts"][""])


@needs_browser
def test_another_recipe_keeps_the_seed():
    assert driven()["constant"] == shown(NETWORKS["paper-constant-rate-seed2"]["parts"][""])


@needs_browser
def test_the_same_parts_are_silent_in_every_seed():
    """So that a reader who switches one network sees that the others are not like it."""
    silent = [NETWORKS[f"paper-seed{seed}"]["parts"]["skip"] for seed in (0, 1, 2)]
    assert driven()["seeds"] == [shown(accuracy) for accuracy in silent]
    assert driven()["kept"] == shown(silent[2])


@needs_browser
def test_chapter_4_does_not_tell_the_answers_of_chapter_5():
    """It offers no recipe, only seeds."""
    assert driven()["limited"] == 1


@needs_browser
def test_a_finger_does_what_a_mouse_does():
    assert driven()["tapped"] == shown(PAPER["parts"]["skip"])


@pytest.mark.parametrize("name", NETWORKS)
def test_what_was_measured_agrees_with_the_records(name):
    from cifar_lib import runs

    network = NETWORKS[name]
    record = runs.load_record(runs.record_file(network["recipe"], network["seed"]))
    assert network["parts"][""] == round(100 * record.result["val_accuracy"], 2)
    assert len(network["parts"]) == 2**6


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_sees_nothing_guesses(name):
    """The page says so; the validation images are a tenth of each class."""
    for off, accuracy in NETWORKS[name]["parts"].items():
        silent = set(off.split("+"))
        cut = silent & {"conv1", "conv4", "conv5"} or ("skip" in silent and silent & {"conv2", "conv3"})
        assert not cut or accuracy == 10.0, off
