"""The book's recipes."""

import pickle
import re

import pytest
from refusals import refusal

from cifar_lib import CourseError, recipes
from cifar_lib.recipes import RECIPES, Recipe


def changes(recipe, base):
    """The fields of a recipe that differ from another's, but for the name."""
    one, other = recipe.as_dict(), base.as_dict()
    return {field: one[field] for field in one if one[field] != other[field] and field != "name"}


def test_the_papers_recipe_is_the_papers():
    paper = RECIPES["paper"]
    assert changes(paper, Recipe("any")) == {"weight_decay": 0.003, "schedule": "step"}


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("paper-no-decay", {"weight_decay": 0.0}),
        ("paper-no-skip", {"options": {"merge": "none"}}),
        ("paper-no-skip-no-decay", {"options": {"merge": "none"}, "weight_decay": 0.0}),
        ("paper-adamw", {"optimizer": "adamw"}),
        ("paper-width-16", {"options": {"width": 16}}),
        ("paper-pool", {"options": {"head": "pool"}}),
        ("paper-width-16-pool", {"options": {"width": 16, "head": "pool"}}),
        ("paper-add", {"options": {"merge": "add"}}),
        ("paper-three-convolutions", {"options": {"convolutions": 3}}),
    ],
)
def test_a_recipe_without_a_shipped_record_has_these_values(name, expected):
    """A wrong value in any other recipe would contradict its records (tests/runs)."""
    assert changes(RECIPES[name], RECIPES["paper"]) == expected


@pytest.mark.parametrize(
    ("name", "base", "fields"),
    [
        ("paper-constant-rate", "paper", {"schedule"}),
        ("mlp-mnist", "mlp", {"data"}),
        ("mlp-shuffled", "mlp", {"data"}),
        ("study-shuffled", "study", {"data"}),
        ("study-pool", "study", {"options"}),
        ("study-constant", "study", {"schedule"}),
        ("study-cosine", "study", {"schedule"}),
        ("mlp-grey", "mlp", {"data"}),
        ("mlp-mnist-moved", "mlp-mnist", {"data"}),
        ("small", "study", {"options", "epochs"}),
        ("small-mnist-moved-noise", "small-mnist", {"data"}),
        ("tuned-study-0.005", "study", set()),
        ("tuned-add-0.015", "tuned-study-0.015", {"options"}),
        ("tuned-no-skip-0.015", "tuned-study-0.015", {"options"}),
        ("tuned-no-norm-0.015", "tuned-study-0.015", {"options"}),
        ("tuned-tanh-0.015", "tuned-study-0.015", {"options"}),
        ("tuned-sigmoid-0.015", "tuned-study-0.015", {"options"}),
        ("tuned-squared-error-0.015", "tuned-study-0.015", {"loss"}),
        ("tuned-sgd-0.03", "tuned-study-0.015", {"optimizer", "rate"}),
        ("small-rate-0.02", "small", {"rate"}),
        ("small-no-norm-rate-0.005", "small", {"options"}),
        ("small-sgd-0.01", "small-adam-0.01", {"optimizer"}),
        ("depth-50-skip-norm", "depth-50-norm", {"options"}),
        ("depth-50-plain", "depth-6-plain", {"options"}),
        ("grid-rate-0.01-decay-0.003", "paper", {"options", "epochs", "decay_every"}),
        ("grid-batch-128", "grid-rate-0.01-decay-0.003", {"batch_size"}),
        ("grid-adamw-decay-0.003", "grid-rate-0.01-decay-0.003", {"optimizer"}),
        ("family-vgg", "family-resnet", {"model"}),
        ("family-factorised", "family-googlenet", {"options"}),
        ("fast94-all", "fast94", {"holdout"}),
        ("ladder-no-decay", "ladder-paper", {"weight_decay"}),
        ("ladder-schedule", "ladder-no-decay", {"schedule"}),
        ("ladder-network", "ladder-schedule", {"model", "options"}),
        ("ladder-whitening", "ladder-network", {"options"}),
        ("ladder-dirac", "ladder-whitening", {"options"}),
        ("ladder-muon", "ladder-dirac", {"optimizer", "rate", "batch_size"}),
        ("ladder-smoothing", "ladder-muon", {"label_smoothing"}),
        ("ladder-augmentation", "ladder-smoothing", {"flip", "shift"}),
        ("ladder-growing", "ladder-augmentation", {"epochs", "sides", "views"}),
        ("ladder-wider", "ladder-growing", {"options"}),
    ],
)
def test_a_variation_changes_one_thing(name, base, fields):
    assert set(changes(RECIPES[name], RECIPES[base])) == fields


def test_recipes_are_found_by_the_name_they_bear():
    for name, recipe in RECIPES.items():
        assert name == recipe.name
        assert recipes.get(name) == recipe
        assert recipes.get(f"{name}-quick") == recipe.quick()


@pytest.mark.parametrize("name", ["fast94", "fast94-quick"])
def test_what_is_changed_within_a_recipe_changes_no_other(name):
    changed, before = recipes.get(name), recipes.get(name).as_dict()
    changed.options["widths"].append(99)
    changed.options["depth"] = 3
    changed.sides.append([0.9, 64])
    assert recipes.get(name).as_dict() == before
    assert recipes.RECIPES["fast94"].quick().options != changed.options
    assert pickle.loads(pickle.dumps(changed)) == changed


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("papr", "'papr'.* 'paper'"),
        ("study-shufled", "'study-shuffled'"),
        ("mlp_mnist", "'mlp-mnist'"),
        ("zzz", "'zzz': python -m cifar_lib list recipes"),
        ("paper-quick-quick", "'paper-quick-quick'"),
    ],
)
def test_an_unknown_name_is_answered_with_the_nearest(name, words):
    with pytest.raises(CourseError, match=words):
        recipes.get(name)


def test_only_the_books_recipes_keep_their_names():
    paper = recipes.get("paper")
    assert recipes.under_own_name(paper) == paper
    assert recipes.under_own_name(recipes.get("paper-quick")).name == "paper-quick"
    changed = recipes.under_own_name(paper.replace(epochs=5))
    assert re.fullmatch(r"paper\+[0-9a-f]{8}", changed.name)
    assert changed == paper.replace(epochs=5, name=changed.name)
    assert recipes.under_own_name(changed) == changed
    assert recipes.under_own_name(paper.replace(epochs=6)).name != changed.name
    assert recipes.under_own_name(paper.replace(name="mine", epochs=5)).name.startswith("mine+")


@pytest.mark.parametrize(
    ("fields", "changes"),
    [
        ({}, []),
        ({"epochs": 5, "flip": True, "optimizer": "sgd"}, ["epochs=5", "optimizer=sgd", "flip=true"]),
        ({"options": {"width": 16}}, ["options.width=16"]),
        ({"sides": [[0, 24], [0.5, 32]]}, ["sides=[[0,24],[0.5,32]]"]),
        ({"model": "mlp", "options": {"hidden": [8]}}, ["model=mlp", 'options={"hidden":[8]}']),
    ],
)
def test_changes_are_named_as_they_were_set(fields, changes):
    changed = recipes.under_own_name(recipes.get("paper").replace(**fields))
    assert recipes.changes_of(changed) == changes


def test_an_option_that_was_removed_is_a_change():
    changed = recipes.under_own_name(recipes.get("study").replace(options={}))
    assert recipes.changes_of(changed) == ["options={}"]


@pytest.mark.parametrize("option", [len, {1, 2}, object()])
def test_an_option_that_no_file_can_hold_has_no_name_of_its_own(option):
    changed = recipes.get("paper").replace(options={"activation": option})
    for function in (recipes.under_own_name, recipes.changes_of):
        assert "of a kind that no file can hold: use numbers" in refusal(function, changed)
