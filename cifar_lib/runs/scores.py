"""The accuracies of a run, each with its interval over images."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from .. import CourseError, evaluate
from ..data import Dataset, Images
from ..evaluate import Estimate
from ..recipes import Recipe
from .predictions import Predictions, predict_parts
from .record import Run
from .replay import held_out

PARTS = {  # in the order in which they are shown
    "val": "validation accuracy",
    "test": "test accuracy",
    "val_views": "validation accuracy, mean of the views",
    "test_views": "test accuracy, mean of the views",
}


@dataclass(frozen=True)
class Score:
    """How many images of a part a network gets right.

    Args:
        part: "val", "test", "val_views" or "test_views", see `Run.predictions`.
        right: bool [N], whether it is right about each image.
    """

    part: str
    right: Tensor

    @property
    def accuracy(self) -> float:
        """The share of images that it gets right, 0 to 1."""
        return self.right.double().mean().item()

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval over images, see `evaluate.wilson_interval`."""
        return evaluate.wilson_interval(self.accuracy, len(self.right))

    def __str__(self) -> str:
        low, high = self.interval
        return (
            f"{PARTS[self.part]:>19}: {self.accuracy:.1%} of {len(self.right):,} images "
            f"(95 % interval {low:.1%} to {high:.1%})"
        )

    def as_dict(self) -> dict[str, Any]:
        """Part, accuracy, interval and number of images, as they are printed as JSON."""
        return {
            "part": self.part,
            "accuracy": self.accuracy,
            "interval": list(self.interval),
            "images": len(self.right),
        }


def kept_scores(run: Run, dataset: Dataset) -> list[Score]:
    """The scores of a run by the predictions that are kept with it.

    Raises:
        CourseError: no predictions were kept, or they are of other images than `dataset`.
    """
    if not run.is_on(dataset):
        raise CourseError(
            f"{run.recipe.name!r}, seed {run.seed}, was trained or evaluated on other images than those of "
            f"{dataset.name!r} given here: take its own, or evaluate its network with new_scores."
        )
    return _scores(run.all_predictions(), held_out(run.recipe, dataset))


def new_scores(network: nn.Module, recipe: Recipe, dataset: Dataset, parts: tuple[str, ...]) -> list[Score]:
    """The scores of a network, evaluated here and now.

    Args:
        parts: "val" and "test", or one of them. A recipe without a holdout has no "val".

    Raises:
        CourseError: there is no such part.
    """
    if not {*parts} <= {"val", "test"}:
        raise CourseError(f'The parts are ("val", "test") or one of them, as ("test",), not {parts!r}.')
    images = {part: found for part, found in held_out(recipe, dataset).items() if part in parts}
    return _scores(predict_parts(network, images, recipe.views)[0], images)


def mean_scores(several: Iterable[list[Score]]) -> dict[str, Estimate]:
    """The mean accuracy over seeds, by part, with an interval over other seeds and other images.

    Args:
        several: the scores of each seed, at least two.

    Raises:
        CourseError: there are fewer.
    """
    right = [{score.part: score.right for score in scores} for scores in several]
    if len(right) < 2:
        raise CourseError("One seed says nothing about others: compare at least two.")
    return {
        part: evaluate.accuracy_interval(torch.stack([of_seed[part] for of_seed in right]))
        for part in right[0]
        if all(part in of_seed for of_seed in right)  # a part that not all seeds have is left out
    }


def _scores(found: dict[str, Predictions], images: dict[str, Images]) -> list[Score]:
    return [
        Score(part, found[part].right(images[part.removesuffix("_views")].labels))
        for part in PARTS
        if part in found
    ]
