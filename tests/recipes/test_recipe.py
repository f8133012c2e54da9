"""What a recipe says, refuses and derives."""

import json
import math

import pytest

from cifar_lib import CourseError, data, recipes
from cifar_lib.recipes import RECIPES, Recipe

DEFAULTS = {
    "data": "cifar10",
    "model": "skip-cnn",
    "options": {},
    "init": "default",
    "epochs": 70,
    "batch_size": 64,
    "optimizer": "adam",
    "rate": 0.01,
    "weight_decay": 0.0,
    "schedule": "constant",
    "decay_every": 15,
    "flip": False,
    "shift": 0,
    "border": "black",
    "loss": "cross-entropy",
    "label_smoothing": 0.0,
    "sides": [],
    "crop": False,
    "views": 1,
    "holdout": True,
}


def test_the_default_of_every_field():
    """Records leave out what was added after them: another default would change what they say."""
    assert Recipe("any").as_dict() == {"name": "any"} | DEFAULTS


# Fields


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epoch": 3}, "no 'epoch'.* 'epochs'"),
        ({"xyz": 3}, r"no 'xyz'\.$"),
        ({"rate": -0.1}, "rate .* at least 0, not -0.1"),
        ({"rate": float("nan")}, "rate .* not nan"),
        ({"rate": float("inf")}, "rate .* not inf"),
        ({"rate": "0.1"}, "rate .* not '0.1'"),
        ({"rate": True}, "rate .* not True"),
        ({"rate": 10**400}, "rate .* not 1000"),
        ({"rate": 1.1e30}, "rate .* not 1.1e"),
        ({"weight_decay": -1}, "weight_decay .* at least 0"),
        ({"weight_decay": float("inf")}, "weight_decay .* not inf"),
        ({"epochs": 2.5}, "epochs .* whole number of at least 1, not 2.5"),
        ({"epochs": 0}, "epochs .* not 0"),
        ({"epochs": 10**400}, "epochs .* not 1000"),
        ({"batch_size": True}, "batch_size .* whole number"),
        ({"batch_size": 10**9 + 1}, "batch_size .* not 1000000001"),
        ({"decay_every": 0}, "decay_every .* at least 1"),
        ({"shift": -1}, "shift .* at least 0"),
        ({"shift": 0.5}, "shift .* whole number"),
        ({"optimizer": "adm"}, "optimizer is one of adam, adamw, sgd, muon, not 'adm'"),
        ({"loss": "mse"}, "loss is one of cross-entropy, squared-error, not 'mse'"),
        ({"schedule": None}, "schedule .*constant, step, cosine, one-cycle, linear, not None"),
        ({"border": "white"}, "border .*black, mirror, not 'white'"),
        ({"init": "him"}, "init is one of default, he, not 'him'"),
        ({"views": 3}, "views is 1, 2 or 6, not 3"),
        ({"label_smoothing": 1.5}, "label_smoothing .* 0 to 1, not 1.5"),
        ({"label_smoothing": -0.1}, "label_smoothing .* not -0.1"),
        ({"label_smoothing": "much"}, "label_smoothing .* not 'much'"),
        ({"sides": 24}, r"sides .*\[\[0, 24\], \[0.7, 32\]\], not 24"),
        ({"sides": [24]}, "sides .* not"),
        ({"sides": [[0, 24, 1]]}, "sides .* not"),
        ({"sides": [[0.5, 24]]}, "sides .* not"),
        ({"sides": [[0, 24], [0, 32]]}, "sides .* not"),
        ({"sides": [[0, 24], [0.7, 28], [0.5, 32]]}, "sides .* not"),
        ({"sides": [[0, 24], [1, 32]]}, "sides .* not"),
        ({"sides": [["0", 24]]}, "sides .* not"),
        ({"sides": [[0, 0]]}, "sides .* not"),
        ({"sides": [[0, "24"]]}, "sides .* not"),
        ({"sides": [[0, 24.5]]}, "sides .* not"),
        ({"sides": [[0, True]]}, "sides .* not"),
        ({"flip": "yes"}, "flip is True or False, not 'yes'"),
        ({"crop": 1}, "crop is True or False, not 1"),
        ({"holdout": 0}, "holdout is True or False, not 0"),
        ({"options": 3}, "options .* arguments by name, not 3"),
        ({"data": None}, "data .* data set, not None"),
        ({"model": 3}, "model .* network, not 3"),
        ({"name": "../outside"}, r"name .* letters, digits and \. \+ - _, not '../outside'"),
        ({"name": ""}, "name .* not ''"),
        ({"name": "a\n"}, "name .* not"),
    ],
)
def test_a_value_that_cannot_be_is_one_sentence(changes, words):
    with pytest.raises(CourseError, match=words) as caught:
        RECIPES["paper"].replace(**changes)
    assert "\n" not in str(caught.value)
    assert caught.value.__suppress_context__  # pydantic's own text would say nothing more


@pytest.mark.parametrize(
    "changes",
    [
        {"rate": 0},
        {"rate": 1e30},
        {"weight_decay": 1},
        {"epochs": 1, "batch_size": 10**9},
        {"label_smoothing": 1},
        {"sides": [[0, 1], [0.999, 64]]},
        {"sides": [(0.0, 24)]},
        {"name": "a.B+c-d_9"},
        {"views": 6},
    ],
)
def test_a_value_at_its_limit_can_be(changes):
    recipe = RECIPES["paper"].replace(**changes)
    assert all(getattr(recipe, name) == value for name, value in changes.items() if name != "sides")
    assert recipe.sides == [list(step) for step in changes.get("sides", [])]


def test_a_recipe_is_frozen():
    text = r"A recipe's rate cannot be set: use replace\(rate=...\), which makes another\."
    with pytest.raises(CourseError, match=text):
        RECIPES["paper"].rate = 1.0
    assert RECIPES["paper"].rate == 0.01


def test_replace_changes_a_copy():
    changed = RECIPES["paper"].replace(rate=0.1, flip=True)
    assert (changed.rate, changed.flip) == (0.1, True)
    assert changed.replace(rate=0.01, flip=False) == RECIPES["paper"]
    assert RECIPES["paper"].rate == 0.01


def test_a_recipe_survives_json():
    for recipe in RECIPES.values():
        assert Recipe(**json.loads(json.dumps(recipe.as_dict()))) == recipe


def test_printed_it_can_be_read_back():
    recipe = RECIPES["fast94"]
    assert eval(str(recipe), {"Recipe": Recipe}) == recipe


# Records


def test_a_record_of_the_first_version_has_other_names_for_its_fields():
    recipe = Recipe.from_record({"name": "old", "crop": 4, "cut": True, "decay_factor": 0.1}, schema=1)
    assert recipe == Recipe("old", shift=4, crop=True)


def test_another_decay_factor_than_the_papers_is_not_forgotten():
    with pytest.raises(CourseError, match="decay_factor"):
        Recipe.from_record({"name": "old", "decay_factor": 0.5}, schema=1)


def test_a_record_of_today_has_the_names_of_today():
    recipe = Recipe("new", crop=True, shift=2)
    assert Recipe.from_record(recipe.as_dict(), schema=2) == recipe
    for former in ({"cut": True}, {"decay_factor": 0.1}):
        with pytest.raises(CourseError, match=next(iter(former))):
            Recipe.from_record({"name": "new"} | former, schema=2)


# Schedules


RATES = {  # by moment, of 8 epochs with a rate of 0.4
    "constant": {0: 0.4, 3.7: 0.4, 8: 0.4},
    "step": {0: 0.4, 2.99: 0.4, 3: 0.04, 5.5: 0.04, 6: 0.004, 7.9: 0.004},
    "cosine": {0: 0.4, 2: 0.2 + 0.1 * math.sqrt(2), 4: 0.2, 6: 0.2 - 0.1 * math.sqrt(2), 8: 0},
    "one-cycle": {0: 0, 0.5: 0.1, 1: 0.2, 2: 0.4, 3.5: 0.3, 5: 0.2, 8: 0},
    "linear": {0: 0.4, 1: 0.35, 2: 0.3, 6: 0.1, 8: 0},
}


@pytest.mark.parametrize("schedule", recipes.SCHEDULES)
def test_the_rate_at_several_moments(schedule):
    recipe = Recipe("any", schedule=schedule, epochs=8, rate=0.4, decay_every=3)
    found = [recipe.rate_at(moment) for moment in RATES[schedule]]
    assert found == pytest.approx(list(RATES[schedule].values()))


def test_the_papers_rate_falls_every_15_epochs():
    recipe = RECIPES["paper"]
    found = [recipe.rate_at(epoch) for epoch in (0, 14.99, 15, 29, 30, 45, 60, 69)]
    assert found == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-6])


def test_sides_begin_at_their_share_of_the_epochs():
    recipe = Recipe("growing", epochs=10, sides=[[0, 20], [0.3, 24], [0.7, 32]])
    assert [recipe.side_at(epoch) for epoch in range(10)] == [20] * 3 + [24] * 4 + [32] * 3
    assert Recipe("still").side_at(5) is None


# The quick form


@pytest.mark.parametrize("name", RECIPES)
def test_the_quick_form_is_the_same_idea_on_generated_images(name):
    recipe = RECIPES[name]
    quick = recipe.quick()
    assert data.load(quick.data).source == "generator"
    assert quick.batch_size == min(recipe.batch_size, 1_000)
    assert quick.data.partition("/")[2] == recipe.data.partition("/")[2]
    kept = set(recipe.as_dict()) - {"name", "data", "options", "epochs", "batch_size", "decay_every"}
    assert all(getattr(quick, field) == getattr(recipe, field) for field in kept)
    narrow = {"skip-cnn": {"width": 8}, "fast-cnn": {"widths": [16, 32, 32]}}
    assert quick.options == recipe.options | narrow.get(recipe.model, {})


@pytest.mark.parametrize(("epochs", "quick"), [(1, 1), (8, 1), (15, 1), (16, 2), (24, 2), (70, 2)])
def test_the_quick_form_takes_an_eighth_of_the_epochs_and_at_most_two(epochs, quick):
    recipe = RECIPES["paper"].replace(epochs=epochs).quick()
    assert recipe.epochs == quick
    rates = [recipe.rate_at(epoch) for epoch in range(quick)]
    dropped = [0.001] if quick > 1 else []
    assert rates == pytest.approx([0.01] * (quick - len(dropped)) + dropped)


def test_the_quick_form_of_unknown_data_keeps_them():
    """So that `data.load` can say what is wrong with the name."""
    assert Recipe("any", data="cifar11/grey").quick().data == "cifar11/grey"
