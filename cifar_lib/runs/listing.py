"""Which runs there are: a line for each recipe that a folder has records of."""

from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from .. import CourseError, evaluate, recipes
from .record import WEIGHTS, load_record, records_in


@dataclass(frozen=True)
class Summary:
    """The runs of a recipe in a folder.

    Args:
        name: of the recipe.
        seeds: in rising order.
        accuracies: the test accuracy of each seed, 0 to 1.
        images: the number of test images; of the first seed, if that differs.
        changes: how the recipe differs from the book's recipe it was made of, as --set takes it.
        weights: the seeds whose weights were kept.
        fault: what is wrong with a record that cannot be read, else "".
    """

    name: str
    seeds: list[int]
    accuracies: list[float]
    images: int
    changes: list[str]
    weights: list[int]
    fault: str = ""

    def __str__(self) -> str:
        if self.fault:
            return f"{self.name:24} {self.fault}"
        line = (
            f"{self.name:24} seed{'s' * (len(self.seeds) > 1)} {seeds_as_text(self.seeds)}: "
            f"{evaluate.format_percent(self.accuracies)} of {self.images:,} test images"
        )
        line += f", weights of {seeds_as_text(self.weights)}" if self.weights else ""
        return line + (f"  ({', '.join(self.changes)})" if self.changes else "")

    def as_dict(self) -> dict[str, Any]:
        """All of it, as it is printed as JSON."""
        return dict(vars(self))


def summaries(folder: Path | str) -> list[Summary]:
    """The runs that lie in a folder, by the name of their recipe."""
    return [_summary(name, files) for name, files in records_in(Path(folder)).items()]


def _summary(name, files):
    try:
        found = [load_record(file) for file in files.values()]
    except CourseError as error:
        return Summary(name, list(files), [], 0, [], [], str(error))
    return Summary(
        name,
        list(files),
        [run.result["test_accuracy"] for run in found],
        found[0].data["n_test"],
        recipes.changes_of(found[0].recipe),
        [seed for seed, file in files.items() if file.with_suffix(WEIGHTS).exists()],
    )


def seeds_as_text(seeds: list[int]) -> str:
    """Seeds as --seeds takes them: 0-4 or 0,2,5."""
    if len(seeds) > 1 and all(after == before + 1 for before, after in pairwise(seeds)):
        return f"{seeds[0]}-{seeds[-1]}"
    return ",".join(map(str, seeds))
