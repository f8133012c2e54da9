"""The computing plan: rows in the order of their importance, and what is left of them."""

import json
import shutil
from pathlib import Path

import pytest

from cifar_lib import CourseError, recipes, runs
from cifar_lib.__main__ import main

RECORD = Path(__file__).parent / "records" / "schema-1.json"  # of mlp-mnist, seed 0
TEXT = """question,recipes,seeds,seconds
The first,paper,2,100
"Networks, narrow ones",small small-mnist family-*,1,10
All MLPs but one,mlp-* mlp,1,5
"""


@pytest.fixture
def plan(tmp_path):
    path = tmp_path / "plan.csv"
    path.write_text(TEXT)
    return path


def test_a_row_has_the_recipes_that_it_names_or_that_fit(plan):
    first, narrow, mlps = runs.read_plan(plan)
    assert (first.question, first.recipes, first.seeds, first.seconds) == ("The first", ("paper",), 2, 100)
    assert {"small", "small-mnist", "family-vgg", "family-mlp"} <= set(narrow.recipes)
    assert "small-mnist-scaled" not in narrow.recipes
    assert "mlp" in mlps.recipes and "family-mlp" not in mlps.recipes


def test_a_recipe_belongs_to_the_row_that_names_it_else_to_the_first_that_it_fits(plan):
    plan.write_text("question,recipes,seeds,seconds\nWide,small-*,1,1\nNarrow,small-r* small-mnist,1,1\n")
    wide, narrow = runs.read_plan(plan)
    assert "small-rate-0.02" in wide.recipes
    assert narrow.recipes == ("small-mnist",)
    assert "small-mnist" not in wide.recipes


def test_what_is_left_goes_seed_by_seed_through_the_rows(plan, recorded_folder):
    questions = runs.read_plan(plan)
    left, seconds = runs.runs_left(questions)
    names = [(recipe.name, seed) for recipe, seed in left]
    assert names[:3] == [("paper", 0), ("paper", 1), ("small", 0)]
    assert seconds == 200 + 10 * len(questions[1].recipes) + 5 * len(questions[2].recipes)


def test_what_is_recorded_is_not_left(recorded_folder):
    question = runs.Question("any", ("mlp-mnist", "small-mnist"), 2, 50)
    shutil.copy(RECORD, recorded_folder / "mlp-mnist-seed0.json")
    left, _ = runs.runs_left([question])
    assert len(left) == 4  # this one has no predictions
    (recorded_folder / "mlp-mnist-seed0.predictions.gz").write_text("not opened")
    left, seconds = runs.runs_left([question])
    assert [(recipe.name, seed) for recipe, seed in left] == [
        ("small-mnist", 0),
        ("mlp-mnist", 1),
        ("small-mnist", 1),
    ]
    spent = runs.load_record(recorded_folder / "mlp-mnist-seed0.json").seconds
    assert seconds == 50 + spent + 50


def test_records_are_looked_for_in_the_folder_that_is_named(recorded_folder, tmp_path):
    """Runs that have a record take as long as its mean; one of them lacks its predictions."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    text = RECORD.read_text()
    for seed, seconds in enumerate((10, 30)):
        content = json.loads(text) | {"seed": seed, "seconds": seconds}
        (folder / f"mlp-mnist-seed{seed}.json").write_text(json.dumps(content))
    (folder / "mlp-mnist-seed0.predictions.gz").write_text("not opened")
    question = runs.Question("any", ("mlp-mnist",), 3, 50)
    left, seconds = runs.runs_left([question], folder)
    assert [(recipe.name, seed) for recipe, seed in left] == [("mlp-mnist", 1), ("mlp-mnist", 2)]
    assert seconds == 20 + 20
    assert runs.runs_left([question]) == ([(recipes.get("mlp-mnist"), seed) for seed in range(3)], 150)


def test_a_plan_may_have_further_columns_and_any_letters(plan):
    plan.write_text("note,question,recipes,seeds,seconds\nlater,3×3 or 5×5?,paper,1,5\n", encoding="utf-8")
    (row,) = runs.read_plan(plan)
    assert row == runs.Question("3×3 or 5×5?", ("paper",), 1, 5)


WRONG = [
    "",
    "question,recipes\na,b\n",
    TEXT.replace("2,100", "two,100"),
    "\0",
    f"{TEXT}a\n",
    f"{TEXT}a,mlp\n",
]


@pytest.mark.parametrize("text", WRONG)
def test_what_is_no_plan_is_one_sentence(text, plan):
    plan.write_text(text)
    with pytest.raises(CourseError, match="is no plan: its columns are question, recipes, seeds, seconds"):
        runs.read_plan(plan)


def test_no_plan_at_all(tmp_path):
    with pytest.raises(CourseError, match="There is no plan"):
        runs.read_plan(tmp_path / "plan.csv")


def test_the_command_line_works_through_a_plan(plan, recorded_folder, monkeypatch, capsys, tiny):
    asked = []
    monkeypatch.setattr(runs, "record_all", lambda wanted, **options: asked.append((list(wanted), options)))
    assert main(["record", "--plan", str(plan)]) == 0
    (wanted, options), *_ = asked
    assert [(recipe.name, seed) for recipe, seed in wanted][:2] == [("paper", 0), ("paper", 1)]
    assert options["renew"]
    assert "runs are left, about 0.1 hours" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        ([], "Name the recipes to record, or take --plan."),
        (["paper", "--plan"], "The plan names its own recipes: leave out --plan, or the recipes."),
    ],
)
def test_either_recipes_or_a_plan_are_needed(words, sentence, capsys):
    assert main(["record", *words]) == 2
    assert capsys.readouterr().err == f"cifar_lib: {sentence}\n"
