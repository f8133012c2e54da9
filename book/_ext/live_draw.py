"""Sphinx extension: the questions of "Draw, then see", and what the recorded runs answer.

`book/questions.toml` is the one source. For each question two small files are written into the built site:
one with what the reader may know before drawing, and one with the answer, which the page fetches when the
reader asks for it.
"""

import json
import tomllib
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator
from sphinx.application import Sphinx

from cifar_lib import evaluate, runs

QUESTIONS = Path(__file__).parent.parent / "questions.toml"
FOLDER = "_static/live/data/draw"
CONFIDENCE = 80  # per cent: how sure the reader should be that a range holds the answer


def _rises(run: runs.Run) -> int:
    losses = run.column("train_loss")
    return sum(later > earlier for earlier, later in pairwise(losses))


def _second_guess(run: runs.Run) -> float:
    """How often the second guess is right where the first is wrong, on the validation images, in per cent."""
    first, both = run.result["val_accuracy"], run.result["val_top2"]
    return 100 * (both - first) / (1 - first)


# What a curve shows of a run, one value per epoch, and what a bar or a number shows, in the question's unit.
CURVES: dict[str, Callable[[runs.Run], list[float]]] = {
    "train_loss": lambda run: run.column("train_loss"),
    "val_loss": lambda run: run.column("val_loss"),
    "val_accuracy": lambda run: [100 * share for share in run.column("val_accuracy")],
}
NUMBERS: dict[str, Callable[[runs.Run], float]] = {
    "test_accuracy": lambda run: 100 * run.result["test_accuracy"],
    "val_accuracy": lambda run: 100 * run.result["val_accuracy"],
    "second_guess": _second_guess,
    "training_loss_rises": _rises,
}


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Context(_Part):
    """A curve that the reader sees while drawing."""

    label: str
    recipe: str
    measure: str


class Marks(_Part):
    """Lines across a curve's epochs, after each `every` of them."""

    every: Annotated[int, Field(gt=0)]
    label: str


class Bar(_Part):
    """One bar; a given one is shown and not asked for."""

    label: str
    recipe: str
    given: bool = False


class Question(_Part):
    """One question of `book/questions.toml`.

    A curve asks for a value per epoch of `recipe`. Bars ask for one value per recipe. A number asks for one
    value of `recipe`, or for the difference to `minus`, seed by seed, with a range around it. `chose` is a
    seed that is left out, because its runs chose the recipes among others.
    """

    id: Annotated[str, Field(pattern="^[a-z0-9-]+$")]
    chapter: str
    answer: str
    kind: Literal["curve", "bars", "number"]
    title: str
    prompt: str
    axis: str
    unit: Literal["%", "points", "nats", "times"]
    range: tuple[float, float]
    measure: str
    why: str
    recipe: str | None = None
    minus: str | None = None
    chose: int | None = None
    context: tuple[Context, ...] = ()
    marks: Marks | None = None
    bars: tuple[Bar, ...] = ()

    @model_validator(mode="after")
    def _complete(self) -> "Question":
        known = CURVES if self.kind == "curve" else NUMBERS
        if self.measure not in known:
            raise ValueError(f"{self.id}: measure is one of {', '.join(known)}, not {self.measure!r}")
        if (self.kind == "bars") != bool(self.bars) or (self.kind == "bars") == bool(self.recipe):
            raise ValueError(f"{self.id}: bars have `bars`, a curve and a number have a `recipe`")
        return self

    @property
    def recipes(self) -> list[str]:
        """Every recipe whose records the question needs."""
        named = [self.recipe, self.minus, *(part.recipe for part in (*self.context, *self.bars))]
        return [name for name in named if name]


def read_questions(path: Path = QUESTIONS) -> list[Question]:
    """The questions in the order of the chapters."""
    content = tomllib.loads(path.read_text(encoding="utf-8"))
    return [Question(**entry) for entry in content["question"]]


def ask(question: Question) -> dict:
    """What the reader may know before drawing; nothing in it tells the answer."""
    asked = question.model_dump(include={"id", "chapter", "kind", "title", "prompt", "axis", "unit", "range"})
    if question.kind == "curve":
        epochs = len(_curves(question.recipe, question.measure)[0])
        context = [
            {"label": part.label, "values": _mean(_curves(part.recipe, part.measure))}
            for part in question.context
        ]
        every = question.marks.every if question.marks else epochs
        marks = list(range(every, epochs, every))
        label = question.marks.label if question.marks else ""
        return asked | {"epochs": epochs, "context": context, "marks": {"after": marks, "label": label}}
    if question.kind == "bars":
        means = _mean(_numbers(question, *(bar.recipe for bar in question.bars)))
        bars = [
            {"label": bar.label} | ({"given": mean} if bar.given else {})
            for bar, mean in zip(question.bars, means, strict=True)
        ]
        return asked | {"bars": bars}
    return asked | {"confidence": CONFIDENCE}


def answer(question: Question) -> dict:
    """What was recorded: `runs` has one row per seed, `mean` and `spread` are over the seeds.

    A row has one value per epoch of a curve, per bar that was asked for, or a single one.
    """
    if question.kind == "curve":
        rows = _curves(question.recipe, question.measure)
    elif question.kind == "bars":
        asked = [i for i, bar in enumerate(question.bars) if not bar.given]
        rows = [[row[i] for i in asked] for row in _numbers(question, *(bar.recipe for bar in question.bars))]
    elif question.minus:
        rows = [[one - other] for one, other in _numbers(question, question.recipe, question.minus)]
    else:
        rows = _numbers(question, question.recipe)
    found = [evaluate.mean_and_spread(values) for values in zip(*rows, strict=True)]
    return {
        "runs": [_rounded(row) for row in rows],
        "mean": _rounded(mean for mean, _ in found),
        "spread": _rounded(spread for _, spread in found),
        "why": question.why,
    }


def _curves(recipe, measure):
    return [CURVES[measure](run) for run in runs.load_runs(recipe)]


def _numbers(question, *recipes):
    """A row for each seed that all recipes have, with a value per recipe."""
    measure = NUMBERS[question.measure]
    columns = [{run.seed: measure(run) for run in runs.load_runs(recipe)} for recipe in recipes]
    common = [seed for seed in columns[0] if all(seed in column for column in columns)]
    return [[column[seed] for column in columns] for seed in common if seed != question.chose]


def _mean(rows):
    return _rounded(evaluate.mean_and_spread(values)[0] for values in zip(*rows, strict=True))


def _rounded(values):
    return [round(value, 4) for value in values]


def write(folder: Path, titles: dict[str, str]) -> None:
    """Write `ID.json` and `ID.answer.json` for each question, and `index.json`, which lists them.

    `titles` has the title of each chapter.
    """
    folder.mkdir(parents=True, exist_ok=True)
    questions = read_questions()
    for question in questions:
        _save(folder / f"{question.id}.json", ask(question))
        _save(folder / f"{question.id}.answer.json", answer(question))
    listed = {"id", "chapter", "title"}
    index = [
        question.model_dump(include=listed) | {"chapter_title": titles[question.chapter]}
        for question in questions
    ]
    _save(folder / "index.json", index)


def _save(path, content):
    text = json.dumps(content, ensure_ascii=False, allow_nan=False)
    path.write_text(text.replace("'", "’"), encoding="utf-8")  # as Sphinx does on the pages


def write_answers(app: Sphinx, exception: Exception | None) -> None:
    if exception is None and app.builder.format == "html":
        titles = {Path(page).name: title.astext() for page, title in app.env.titles.items()}
        write(Path(app.outdir) / FOLDER, titles)


def setup(app: Sphinx) -> dict[str, bool]:
    app.connect("build-finished", write_answers)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
