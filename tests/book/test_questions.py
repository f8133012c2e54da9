"""The questions of "Draw, then see": their chapters, their recipes, and the answers on the site."""

import json
import sys
from pathlib import Path

import nbformat
import pytest

from cifar_lib import evaluate, recipes, runs

BOOK = Path(__file__).parents[2] / "book"
sys.path.insert(0, str(BOOK / "_ext"))
live_draw = pytest.importorskip("live_draw", reason="no Sphinx: pip install --group book")

QUESTIONS = live_draw.read_questions()
CHAPTERS = sorted((BOOK.parent / "notebooks").glob("[0-9][0-9]_*.ipynb"))
each = pytest.mark.parametrize("question", QUESTIONS, ids=[question.id for question in QUESTIONS])


def cells_of(chapter):
    return nbformat.read(BOOK.parent / "notebooks" / f"{chapter}.ipynb", 4).cells


def mark(question):
    return f'<div data-live="draw" data-question="{question.id}" id="draw-{question.id}">'


def test_each_question_has_an_id_of_its_own():
    assert len({question.id for question in QUESTIONS}) == len(QUESTIONS)


def test_every_chapter_after_the_second_asks_something():
    without = {path.stem for path in CHAPTERS[2:]} - {question.chapter for question in QUESTIONS}
    assert not without


def test_every_mark_in_a_chapter_is_a_question():
    marked = {
        piece.partition('"')[0]
        for path in CHAPTERS
        for cell in cells_of(path.stem)
        for piece in cell.source.split('data-live="draw" data-question="')[1:]
    }
    assert marked == {question.id for question in QUESTIONS}


@each
def test_question_stands_once_in_its_chapter_before_the_cell_that_answers_it(question):
    cells = cells_of(question.chapter)
    [asked] = [i for i, cell in enumerate(cells) if mark(question) in cell.source]
    [answered] = [i for i, cell in enumerate(cells) if cell.id == question.answer]
    assert asked < answered and cells[answered].cell_type == "code"
    # Nothing is computed between the two, and the mark ends its cell, because the site folds what follows.
    assert all(cell.cell_type != "code" for cell in cells[asked:answered])
    assert cells[asked].source.endswith("\n\n</div>")


@each
def test_the_chapter_asks_on_paper_what_the_page_asks(question):
    [cell] = [cell for cell in cells_of(question.chapter) if mark(question) in cell.source]
    assert f"{mark(question)}\n\n> **Predict.** {question.prompt} " in cell.source


@each
def test_every_recipe_of_a_question_is_recorded_from_three_seeds(question):
    assert [name for name in question.recipes if name not in recipes.RECIPES] == []
    assert all(len(runs.load_runs(name)) >= 3 for name in question.recipes)


@each
def test_what_the_reader_may_know_does_not_tell_the_answer(question):
    known = live_draw.ask(question)
    assert not {"runs", "mean", "spread", "why", "answer"} & set(known)
    assert question.why not in json.dumps(known)
    bars = [{"label", "given"} if bar.given else {"label"} for bar in question.bars]
    assert [set(bar) for bar in known.get("bars", [])] == bars
    # The recorded values in it are those of other recipes, or of another column.
    shown = [(part.recipe, part.measure) for part in question.context]
    shown += [(bar.recipe, question.measure) for bar in question.bars if bar.given]
    asked = [question.recipe, *(bar.recipe for bar in question.bars if not bar.given)]
    assert not {(recipe, question.measure) for recipe in asked} & set(shown)


@each
def test_an_answer_fits_its_axis_and_its_question(question):
    known, answer = live_draw.ask(question), live_draw.answer(question)
    places = {"number": 1}.get(question.kind) or known.get("epochs")
    places = places or sum(1 for bar in question.bars if not bar.given)
    assert len(answer["mean"]) == len(answer["spread"]) == places
    assert all(len(row) == places for row in answer["runs"]) and len(answer["runs"]) >= 3
    low, high = question.range
    assert all(low <= value <= high for row in answer["runs"] for value in row)
    given = [bar["given"] for bar in known.get("bars", []) if "given" in bar]
    context = [value for part in known.get("context", []) for value in part["values"]]
    assert all(low <= value <= high for value in (*given, *context))


def question(**fields):
    common = {"id": "a", "chapter": "c", "answer": "x", "title": "", "prompt": "", "axis": "", "why": ""}
    return live_draw.Question(**common | {"unit": "%", "range": (0, 100), "measure": "val_accuracy"} | fields)


def test_a_number_is_the_recorded_mean_and_spread_over_seeds():
    values = [100 * run.result["val_accuracy"] for run in runs.load_runs("study")]
    answer = live_draw.answer(question(kind="number", recipe="study"))
    mean, spread = evaluate.mean_and_spread(values)
    assert answer["mean"] == [pytest.approx(mean, abs=1e-3)]
    assert answer["spread"] == [pytest.approx(spread, abs=1e-3)]


def test_a_difference_is_taken_seed_by_seed():
    answer = live_draw.answer(question(kind="number", recipe="study", minus="study"))
    assert (answer["mean"], answer["spread"]) == ([0.0], [0.0])


def test_the_seed_that_chose_is_left_out():
    recorded = [100 * run.result["val_accuracy"] for run in runs.load_runs("study")]
    answer = live_draw.answer(question(kind="number", recipe="study", chose=1))
    assert [value for [value] in answer["runs"]] == [
        pytest.approx(value, abs=1e-3) for seed, value in enumerate(recorded) if seed != 1
    ]


def test_all_bars_are_means_over_the_same_seeds():
    """Also those that are given, so that the reader compares like with like."""
    bars = [{"label": name, "recipe": name, "given": name == "mlp"} for name in ("mlp", "study")]
    known = live_draw.ask(question(kind="bars", bars=bars))
    common = {run.seed for run in runs.load_runs("study")}
    values = [100 * run.result["val_accuracy"] for run in runs.load_runs("mlp") if run.seed in common]
    assert known["bars"][0]["given"] == pytest.approx(evaluate.mean_and_spread(values)[0], abs=1e-3)


@pytest.mark.parametrize(("measure", "unit"), [("train_loss", 1), ("val_loss", 1), ("val_accuracy", 100)])
def test_a_curve_has_the_history_of_each_seed(measure, unit):
    answer = live_draw.answer(question(kind="curve", recipe="mlp", measure=measure))
    recorded = [[unit * value for value in run.column(measure)] for run in runs.load_runs("mlp")]
    assert answer["runs"] == [pytest.approx(values, abs=1e-3) for values in recorded]


def test_the_second_guess_is_counted_among_the_mistakes():
    answer = live_draw.answer(question(kind="number", recipe="paper", measure="second_guess"))
    for run, [share] in zip(runs.load_runs("paper"), answer["runs"], strict=True):
        first, both = run.result["val_accuracy"], run.result["val_top2"]
        assert share / 100 * (1 - first) + first == pytest.approx(both, abs=1e-5)


def test_a_question_that_lacks_what_its_kind_needs_is_refused():
    with pytest.raises(ValueError, match="bars have `bars`, a curve and a number have a `recipe`"):
        question(kind="bars", recipe="study")
    with pytest.raises(ValueError, match="measure is one of train_loss, val_loss, val_accuracy"):
        question(kind="curve", recipe="study", measure="second_guess")


def test_the_site_gets_two_small_files_for_each_question_and_a_list(tmp_path):
    folder = tmp_path / "draw"
    live_draw.write(folder, {path.stem: f"Title of {path.stem}" for path in CHAPTERS})
    names = {f"{question.id}{end}" for question in QUESTIONS for end in (".json", ".answer.json")}
    files = list(folder.iterdir())
    assert {path.name for path in files} == names | {"index.json"}
    assert max(path.stat().st_size for path in files) < 10_000
    listed = json.loads((folder / "index.json").read_text(encoding="utf-8"))
    assert [entry["id"] for entry in listed] == [question.id for question in QUESTIONS]
    assert listed[0]["chapter_title"] == "Title of 01_from_mnist_to_cifar10"
