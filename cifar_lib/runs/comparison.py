"""Two recipes side by side: how much their accuracies differ, how sure that is, where they disagree."""

import math
import statistics
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Any

import torch
from torch import Tensor

from .. import CourseError, evaluate
from .listing import seeds_as_text
from .predictions import load_labels
from .record import ACCURACIES, Run, labels_file, new_records_folder, predictions_file

MOST_SHOWN = 12  # numbers of images in a line of text; as_dict has all of them


@dataclass(frozen=True)
class Pair:
    """Two networks of one seed: the images that only one of them gets right, and McNemar's p.

    Source: see `evaluate.mcnemar`.
    """

    seed: int
    only_first: int
    only_second: int
    p: float


@dataclass(frozen=True)
class Comparison:
    """How two recipes' accuracies differ.

    Args:
        names: the two recipes.
        part: the images: "test" or "val"; with "_views" the mean over the views.
        seeds: of each side.
        accuracies: of each side, the mean over its seeds, 0 to 1.
        interval: of the first accuracy less the second, 95 %; None where a side has one seed.
        p: of a two-sided test that the true accuracies are equal, by the method of the interval; else None.
        images: how many; None where predictions are missing, or of other images.
        unequal_counts: how many images each side was evaluated on, where the numbers differ; else None.
        over: what the interval knows of: "seeds and images", or "seeds" where predictions are missing.
        pairs: of the seeds that both have; empty where predictions are missing.
        only_first, only_second: the images that all networks of one side and none of the other get right,
            by their number in the data set, from 0.
    """

    names: tuple[str, str]
    part: str
    seeds: tuple[list[int], list[int]]
    accuracies: tuple[float, float]
    interval: tuple[float, float] | None
    p: float | None = None
    images: int | None = None
    unequal_counts: tuple[int, int] | None = None
    over: str = "seeds"
    pairs: list[Pair] = field(default_factory=list)
    only_first: list[int] = field(default_factory=list)
    only_second: list[int] = field(default_factory=list)

    @property
    def difference(self) -> float:
        """The first accuracy less the second."""
        return self.accuracies[0] - self.accuracies[1]

    def as_dict(self) -> dict[str, Any]:
        """All of it, as it is printed as JSON."""
        content = vars(self) | {"difference": self.difference, "pairs": [vars(pair) for pair in self.pairs]}
        return {name: list(value) if isinstance(value, tuple) else value for name, value in content.items()}

    def __str__(self) -> str:
        lines = [
            f"{name}: {accuracy:.2%} ({self.part}, seed{'s' * (len(seeds) > 1)} {seeds_as_text(seeds)})"
            for name, accuracy, seeds in zip(self.names, self.accuracies, self.seeds, strict=True)
        ]
        difference = f"difference: {100 * self.difference:+.2f} points"
        if self.interval is None:
            lines.append(f"{difference}, without an interval, because one seed says nothing about others")
        else:
            low, high = (f"{100 * limit:+.2f}" for limit in self.interval)
            lines.append(f"{difference} (95 % interval over {self.over}: {low} to {high})")
        if self.over == "seeds":
            lines.append("Where they disagree is not known: no predictions for the same images are kept.")
        if self.unequal_counts:
            counts = " and ".join(f"{count:,}" for count in self.unequal_counts)
            lines.append(f"They were evaluated on {counts} images, which may explain part of the difference.")
        lines += [
            f"seed {pair.seed}: {pair.only_first:,} images that only {self.names[0]} gets right, "
            f"{pair.only_second:,} that only {self.names[1]} does; McNemar's p = {pair.p:.2g}"
            for pair in self.pairs
        ]
        for first, second, images in (
            (*self.names, self.only_first),
            (*self.names[::-1], self.only_second),
        ):
            if images:
                more = f" and {len(images) - MOST_SHOWN:,} more" if len(images) > MOST_SHOWN else ""
                lines.append(
                    f"right in all runs of {first} and in none of {second}: {len(images):,} images: "
                    f"{', '.join(map(str, images[:MOST_SHOWN]))}{more}"
                )
        return "\n".join(lines)


def compare_runs(first: Iterable[Run], second: Iterable[Run], part: str = "test") -> Comparison:
    """Compare the runs of two recipes on the images that both were evaluated on.

    Where predictions are kept, the interval knows of seeds and images (`evaluate.difference_interval`), else
    of the seeds alone (`evaluate.welch`).

    Args:
        first, second: the runs of each side, each of another seed.
        part: "test", "val", "test_views" or "val_views".

    Raises:
        CourseError: a side has no runs, a run has no such part, or its predictions are damaged.
    """
    _check_part(part)
    sides = _by_seed(first), _by_seed(second)
    if not all(sides):
        raise CourseError("A comparison needs at least one run on each side.")
    shares = [_shares(side, part) for side in sides]
    tables = _paired_tables(sides, part)
    estimate = None
    if min(map(len, sides)) > 1:
        estimate = evaluate.difference_interval(*tables) if tables else evaluate.welch(*shares)
    leads = [next(iter(side.values())) for side in sides]
    counts = [run.data[f"n_{part.removesuffix('_views')}"] for run in leads]
    shown = Comparison(
        names=(leads[0].recipe.name, leads[1].recipe.name),
        part=part,
        seeds=(list(sides[0]), list(sides[1])),
        accuracies=(statistics.fmean(shares[0]), statistics.fmean(shares[1])),
        interval=(estimate.low, estimate.high) if estimate else None,
        p=estimate.p if estimate else None,
        unequal_counts=(counts[0], counts[1]) if counts[0] != counts[1] else None,
    )
    if not tables:
        return shown
    one, other = tables
    return replace(
        shown,
        images=one.shape[1],
        over="seeds and images",
        pairs=[
            Pair(seed, *evaluate.mcnemar(one[shown.seeds[0].index(seed)], other[shown.seeds[1].index(seed)]))
            for seed in sorted(sides[0].keys() & sides[1].keys())
        ],
        only_first=(one.all(0) & ~other.any(0)).nonzero().flatten().tolist(),
        only_second=(other.all(0) & ~one.any(0)).nonzero().flatten().tolist(),
    )


def difference(first: Iterable[Run], second: Iterable[Run], part: str = "test") -> tuple[float, float, float]:
    """How much more accurate the runs `first` are, 0 to 1, with the interval of `compare_runs`.

    Returns:
        (difference of the means, low, high); low and high are nan where a side has one seed.
    """
    compared = compare_runs(first, second, part)
    low, high = compared.interval or (math.nan, math.nan)
    return compared.difference, low, high


def right_answers(several: Iterable[Run], part: str = "test") -> Tensor:
    """Whether each run is right about each image, by the predictions that were kept: bool [runs, images].

    Args:
        several: runs on the same images.
        part: "test", "val", "test_views" or "val_views".

    Raises:
        CourseError: a run has no such predictions, they are damaged, or the labels beside them are those of
            other images.
    """
    _check_part(part)
    several = list(several)
    if not several:
        raise CourseError("There are no runs whose answers could be looked at: name at least one.")
    table = _table(several, part)
    if table is None:
        names = ", ".join(f"{run.recipe.name!r}, seed {run.seed}" for run in several)
        folder = several[0].folder or new_records_folder()
        raise CourseError(
            f"The labels in {folder} are of other images than the predictions of {names}: keep runs on other "
            f"images in a folder of their own."
        )
    return table


def _table(several, part):
    """What `right_answers` gives; None where the labels that are kept are those of other images.

    A folder keeps the labels of a data set once, but other images may go by the same name. The accuracy in a
    run's record tells whether the labels are those of its images.
    """
    rows = []
    for run in several:
        found = run.predictions(part)
        labels = load_labels(labels_file(run.data["name"], run.folder))[0].get(part.removesuffix("_views"))
        if labels is None or len(labels) != len(found):
            return None
        right = found.right(labels)
        share = run.result.get(ACCURACIES[part])
        if share is not None and right.sum().item() != round(share * len(right)):
            return None
        rows.append(right)
    return torch.stack(rows)


def _check_part(part):
    if part not in ACCURACIES:
        raise CourseError(f"There is no part {part!r}: choose one of {', '.join(ACCURACIES)}.")


def _by_seed(several):
    return {run.seed: run for run in sorted(several, key=lambda run: run.seed)}


def _shares(side, part):
    """The accuracy of each run, as its record has it."""
    for seed, run in side.items():
        if run.result.get(ACCURACIES[part]) is None:
            raise CourseError(
                f"{run.recipe.name!r}, seed {seed}, was not evaluated on {part!r}: choose another part."
            )
    return [run.result[ACCURACIES[part]] for run in side.values()]


def _paired_tables(sides, part):
    """What `right_answers` gives of each side; None where their images are not the same, or not known."""
    if not _on_same_images([run for side in sides for run in side.values()]):
        return None
    tables = [_table(side.values(), part) for side in sides]
    return None if any(table is None for table in tables) else tables


def _on_same_images(runs):
    """Whether all runs have predictions, for the same images in the same order."""
    if not all(predictions_file(run.recipe.name, run.seed, run.folder).exists() for run in runs):
        return False
    # A variant changes the images but keeps the order of the originals, and mostly their labels, so that it
    # can be paired with them.
    originals = {
        (labels_file(run.data["name"]).name, run.data["fingerprint"].partition("/")[0], run.data["n_test"])
        for run in runs
    }
    tests = {(run.data["name"], run.data.get("test_fingerprint")) for run in runs}
    return len(originals) == 1 and len(tests) == len({name for name, _ in tests})
