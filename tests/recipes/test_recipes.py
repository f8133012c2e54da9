"""Recipes say literally what is trained."""

import json

import pytest
import torch
from pydantic import ValidationError

from cifar_lib import data, recipes
from cifar_lib.recipes import RECIPES, Recipe
from cifar_lib.training import make_optimizer


def test_the_paper_recipe_is_the_papers():
    assert RECIPES["paper"].as_dict() == {
        "name": "paper",
        "data": "cifar10",
        "model": "skip-cnn",
        "options": {},
        "epochs": 70,
        "batch_size": 64,
        "optimizer": "adam",
        "rate": 0.01,
        "weight_decay": 0.003,
        "schedule": "step",
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
    optimizer = make_optimizer(RECIPES["paper"], torch.nn.Linear(2, 2))
    assert type(optimizer) is torch.optim.Adam
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (0.01, 0.003)
    assert (optimizer.defaults["betas"], optimizer.defaults["eps"]) == ((0.9, 0.999), 1e-8)


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
        ("small-add", "small", {"options"}),
        ("small-no-skip", "small", {"options"}),
        ("small-tanh", "small", {"options"}),
        ("small-sigmoid", "small", {"options"}),
        ("small-squared-error", "small", {"loss"}),
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
    ],
)
def test_a_variation_changes_one_thing(name, base, fields):
    one, other = RECIPES[name].as_dict(), RECIPES[base].as_dict()
    assert {field for field in one if one[field] != other[field]} == fields | {"name"}


def rates(recipe, scheduler):
    """The learning rate of each epoch by PyTorch's own scheduler."""
    optimizer = torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=recipe.rate)
    schedule, found = scheduler(optimizer), []
    for _ in range(recipe.epochs):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        schedule.step()
    return found


@pytest.mark.parametrize("name", ["paper", "paper-quick", "study"])
def test_the_step_schedule_is_torchs(name):
    recipe = recipes.get(name).replace(schedule="step")
    expected = rates(recipe, lambda o: torch.optim.lr_scheduler.StepLR(o, recipe.decay_every, 0.1))
    assert [recipe.rate_at(epoch) for epoch in range(recipe.epochs)] == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["paper", "study"])
def test_the_cosine_schedule_is_torchs(name):
    recipe = RECIPES[name].replace(schedule="cosine")
    expected = rates(recipe, lambda o: torch.optim.lr_scheduler.CosineAnnealingLR(o, recipe.epochs))
    assert [recipe.rate_at(epoch) for epoch in range(recipe.epochs)] == pytest.approx(expected, rel=1e-9)


def test_the_papers_rate_falls_every_15_epochs():
    recipe = RECIPES["paper"]
    found = [recipe.rate_at(epoch) for epoch in (0, 14.99, 15, 29, 30, 45, 60, 69)]
    assert found == pytest.approx([1e-2, 1e-2, 1e-3, 1e-3, 1e-4, 1e-5, 1e-6, 1e-6])


def test_one_cycle_climbs_for_a_quarter_and_falls_to_zero():
    recipe = RECIPES["study"].replace(epochs=8, rate=0.4)
    found = [recipe.rate_at(epoch) for epoch in (0, 1, 2, 5, 8)]
    assert found == pytest.approx([0, 0.2, 0.4, 0.2, 0])


def test_the_constant_rate_is_constant():
    assert {RECIPES["mlp"].rate_at(epoch) for epoch in (0, 3.7, 8)} == {0.001}


def test_a_recipe_is_frozen():
    with pytest.raises(ValidationError, match="frozen"):
        RECIPES["paper"].rate = 1.0


def test_replace_changes_a_copy():
    changed = RECIPES["paper"].replace(rate=0.1, flip=True)
    assert (changed.rate, changed.flip) == (0.1, True)
    assert changed.replace(rate=0.01, flip=False) == RECIPES["paper"]
    assert RECIPES["paper"].rate == 0.01


def test_recipes_are_found_by_the_name_they_bear():
    for name, recipe in RECIPES.items():
        assert name == recipe.name
        assert recipes.get(name) is recipe
        assert recipes.get(f"{name}-quick") == recipe.quick()


@pytest.mark.parametrize("name", RECIPES)
def test_the_quick_form_needs_no_file_and_few_epochs(name):
    recipe = RECIPES[name]
    quick = recipe.quick()
    assert quick.epochs == min(2, recipe.epochs // 2)
    assert data.load(quick.data).source == "generator"
    assert quick.batch_size == min(recipe.batch_size, 1_000)
    assert quick.data.partition("/")[2] == recipe.data.partition("/")[2]
    kept = set(recipe.as_dict()) - {"name", "data", "options", "epochs", "batch_size", "decay_every"}
    assert all(getattr(quick, field) == getattr(recipe, field) for field in kept)
    narrow = {"skip-cnn": {"width": 8}, "fast-cnn": {"widths": [16, 32, 32]}}
    assert quick.options == recipe.options | narrow.get(recipe.model, {})


@pytest.mark.parametrize(("epochs", "quick"), [(1, 1), (2, 1), (3, 1), (4, 2), (5, 2), (6, 2), (70, 2)])
def test_the_quick_form_takes_half_the_epochs_and_at_most_two(epochs, quick):
    recipe = RECIPES["paper"].replace(epochs=epochs).quick()
    assert recipe.epochs == quick
    rates = [recipe.rate_at(epoch) for epoch in range(quick)]
    dropped = [0.001] if quick > 1 else []
    assert rates == pytest.approx([0.01] * (quick - len(dropped)) + dropped)


def test_a_recipe_survives_json():
    for recipe in RECIPES.values():
        assert Recipe(**json.loads(json.dumps(recipe.as_dict()))) == recipe


def test_sides_begin_at_their_share_of_the_epochs():
    recipe = Recipe("growing", epochs=10, sides=[[0, 20], [0.3, 24], [0.7, 32]])
    assert [recipe.side_at(epoch) for epoch in range(10)] == [20] * 3 + [24] * 4 + [32] * 3
    assert Recipe("still").side_at(5) is None


def test_the_linear_schedule_falls_to_zero():
    recipe = Recipe("line", epochs=4, rate=0.2, schedule="linear")
    assert [recipe.rate_at(epoch) for epoch in (0, 1, 2, 4)] == pytest.approx([0.2, 0.15, 0.1, 0])
