"""The computing plan: which runs answer which question, the most important first."""

import csv
import fnmatch
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .. import CourseError
from ..recipes import RECIPES, Recipe
from .record import load_record, predictions_file, record_file

PLAN = Path("book") / "computing-plan.csv"
COLUMNS = ("question", "recipes", "seeds", "seconds")


@dataclass(frozen=True)
class Question:
    """A row of the plan.

    Args:
        question: what the runs are to answer.
        recipes: the recipes to compare, by name.
        seeds: seeds per recipe, from 0.
        seconds: what one run may take, on one core.
    """

    question: str
    recipes: tuple[str, ...]
    seeds: int
    seconds: float


def read_plan(path: Path | str = PLAN) -> list[Question]:
    """The rows of a plan, in their order, which is that of their importance.

    A recipe belongs to the row that names it in full, else to the first whose pattern it fits.

    Raises:
        CourseError: the file is missing, or is no plan.
    """
    path = Path(path)
    try:
        reader = csv.DictReader(path.read_text(encoding="utf-8").splitlines())
        if not set(COLUMNS) <= set(reader.fieldnames or ()):
            raise ValueError("columns")
        wanted = [
            (row["question"], row["recipes"].split(), int(row["seeds"]), float(row["seconds"]))
            for row in reader
        ]
    except FileNotFoundError:
        raise CourseError(f"There is no plan {path}: run this in the course's folder, or name it.") from None
    except (OSError, ValueError, TypeError, AttributeError, csv.Error):
        raise CourseError(f"{path} is no plan: its columns are {', '.join(COLUMNS)}.") from None
    taken = {name: question for question, names, *_ in wanted for name in names}
    for question, patterns, *_ in wanted:
        for pattern in patterns:
            for name in fnmatch.filter(RECIPES, pattern):
                taken.setdefault(name, question)
    return [
        Question(question, tuple(name for name in RECIPES if taken.get(name) == question), seeds, seconds)
        for question, _, seeds, seconds in wanted
    ]


def runs_left(
    plan: Iterable[Question], folder: Path | str | None = None
) -> tuple[list[tuple[Recipe, int]], float]:
    """The runs of a plan that have no record with predictions yet, in order, and an estimate of their time.

    Within a question all recipes get their first seed before one gets its second: a comparison is of use
    as soon as all its sides have as many.

    Returns:
        (recipe, seed) of each run, and seconds: the mean of a recipe's recorded runs, where it has any, or
        the planned seconds.
    """
    left, seconds = [], 0.0
    for question in plan:
        for seed in range(question.seeds):
            for name in question.recipes:
                if not _is_recorded(name, seed, folder):
                    left.append((RECIPES[name], seed))
                    seconds += _seconds(name, question, folder)
    return left, seconds


def _is_recorded(name, seed, folder):
    files = record_file(name, seed, folder), predictions_file(name, seed, folder)
    return all(file.exists() for file in files)


def _seconds(name, question, folder):
    known = [
        load_record(file).seconds
        for seed in range(question.seeds)
        if (file := record_file(name, seed, folder)).exists()
    ]
    return sum(known) / len(known) if known else question.seconds
