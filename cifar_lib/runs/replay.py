"""Run a recipe as the profile says: train it here and now, or replay its record."""

import os
import platform
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path

import torch

from .. import CourseError, data, evaluate, models, recipes
from ..data import Dataset, Images
from ..data.images import check_values
from ..data.specs import SPECS
from ..recipes import Recipe
from ..system import device as devices
from ..training import RunKey, Trained, train
from ..training.loop import check_finite
from .predictions import MOST_CLASSES, predict_parts
from .record import ACCURACIES, Run, load_record, load_runs, record_file

PROFILES = {
    "quick": "Profile quick: tiny trainings on generated images. Numbers here are not the book's.",
    "recorded": "Profile recorded: long trainings are replayed from their records.",
    "full": "Profile full: every training is done here and now.",
}


def profile() -> str:
    """How the book is executed: "quick", "recorded" (the default) or "full"; from `$CIFAR_PROFILE`.

    Raises:
        CourseError: the variable names none of these.
    """
    name = os.environ.get("CIFAR_PROFILE", "recorded")
    if name not in PROFILES:
        raise CourseError(f"CIFAR_PROFILE is one of {', '.join(PROFILES)}, not {name!r}.")
    return name


def show_profile() -> None:
    """Say in which profile a page runs, and whether there is a GPU: the first line of each chapter."""
    name = profile()
    print(PROFILES[name])
    if name == "full" and devices.select_device().type == "cpu":
        print(
            "There is no GPU here, so a run of 70 epochs takes about an hour or longer. In Colab: Runtime > "
            "Change runtime type > GPU. Or set CIFAR_PROFILE=recorded to replay them."
        )


def recipe_for_profile(recipe: Recipe | str) -> Recipe:
    """The recipe of that name, or its quick form in the quick profile."""
    recipe = recipes.get(recipe) if isinstance(recipe, str) else recipe
    return recipe.quick() if profile() == "quick" and not recipe.name.endswith("-quick") else recipe


def load_data(name: str) -> Dataset:
    """`data.load` for the profile at hand: the quick one puts generated images in CIFAR-10's place.

    Prints what was loaded, so that a page says on which images it speaks.
    """
    base, slash, variant = name.partition("/")
    if profile() == "quick" and base in SPECS:
        base = SPECS[base].stand_in
    loaded = base + slash + variant
    dataset = data.load(loaded)
    print(f"{dataset}." + (f" It stands in for {name}." if loaded != name else ""))
    return dataset


def run(
    recipe: Recipe | str, dataset: Dataset | None = None, seed: int = 0, *, device: str | None = None
) -> Run:
    """Train a recipe, or replay its record; prints which.

    Replayed in the recorded profile, and only when recipe, seed and images are those of the record;
    anything else is trained.

    Args:
        recipe: a `Recipe` or the name of one; the quick profile takes its quick form.
        dataset: the images, when they are at hand. Without them a record is replayed whatever images are
            found here, and they are loaded only when training needs them.

    In the full profile a finished training is kept in the cache folder: the next chapter that asks
    for it has it at once, and one that was stopped goes on.

    Raises:
        CourseError: see `training.train`; or `dataset` is not the one that the recipe names.
    """
    one = _run(recipe, dataset, seed, device)
    print(one)
    return one


def run_seeds(
    recipe: Recipe | str,
    dataset: Dataset | None = None,
    seeds: Sequence[int] | None = None,
) -> list[Run]:
    """`run` for several seeds; prints one line for all. The quick profile takes two seeds.

    Args:
        seeds: by default all that are recorded, if the recipe is given by its name in the recorded profile,
            and otherwise 0 to 2.

    Raises:
        CourseError: as `run`, or there are no seeds.
    """
    if seeds is None:
        seeds = seeds_of(recipe) if isinstance(recipe, str) and profile() == "recorded" else (0, 1, 2)
    if len(seeds) == 0:  # an array of numpy has no truth value
        raise CourseError("There is nothing to run without a seed: name at least one.")
    several = [_run(recipe, dataset, seed, None) for seed in seeds[: 2 if profile() == "quick" else None]]
    first = several[0]
    how = "Replayed" if all(one.replayed for one in several) else f"Trained on {first.environment['device']}"
    accuracy = summarize(several)
    print(f"{first.recipe.name}: test accuracy {accuracy} of {first.data['n_test']:,}. {how}.")
    return several


def seeds_of(*names: str) -> list[int]:
    """The seeds of which each of these recipes is recorded; 0 alone where they are trained here and now."""
    if profile() != "recorded":
        return [0]
    return sorted(set.intersection(*({run.seed for run in load_runs(name)} for name in names)))


def results(several: Iterable[Run], name: str = "test_accuracy") -> list[float]:
    """One result of each run, for the functions of `evaluate.statistics`.

    Args:
        name: a key of `Run.result`.

    Raises:
        CourseError: a run has no such result.
    """
    several = list(several)
    for one in several:
        if name not in one.result:
            raise CourseError(f"A run has no result {name!r}: choose one of {', '.join(one.result)}.")
    return [one.result[name] for one in several]


def summarize(several: Sequence[Run], name: str = "test_accuracy") -> str:
    """One result over runs in words, as '71.9 ± 0.4 % (3 seeds)'.

    Args:
        name: of a result that is a share from 0 to 1, as all but losses are.

    Raises:
        CourseError: there are no runs, or one has no such result.
    """
    seeds = f"{len(several)} seed{'s' if len(several) > 1 else ''}"
    return f"{evaluate.format_percent(results(several, name))} ({seeds})"


@devices.gpu_memory_in_words()
def as_run(recipe: Recipe, dataset: Dataset, seed: int, trained: Trained) -> Run:
    """A finished training with its predictions and results on the validation and test images."""
    found, result = _evaluated(trained.model, recipe, dataset)
    check_finite(result["test_loss"], "test loss", recipe, recipe.epochs)
    n_val = len(found["val"]) if recipe.holdout else 0
    return Run(
        recipe=recipe,
        model={
            "name": recipe.model,
            "parameters": models.count_parameters(trained.model),
            "flops": models.count_flops(trained.model, dataset.shape),
            "shape": list(dataset.shape),
            "classes": len(dataset.classes),
        },
        data={
            "name": dataset.name,
            "fingerprint": dataset.fingerprint,
            "n_train": len(dataset.train) - n_val,
            "n_val": n_val,
            "n_test": len(dataset.test),
            "test_fingerprint": dataset.test_fingerprint,
            "classes": list(dataset.classes),
        },
        seed=int(seed),
        history=trained.history,
        result=result,
        environment={
            "device": trained.device,
            "torch": torch.__version__,
            "python": platform.python_version(),
            "code": trained.code,
        },
        seconds=round(trained.seconds, 1),
        _network=trained.model.cpu(),
        _predictions=found,
    )


def _check_dataset(recipe, dataset):
    """Make sure that the images at hand are those that a recipe names."""
    if not isinstance(dataset, Dataset):
        raise CourseError(
            f"{recipe.name!r} trains on a data.Dataset, but was given {type(dataset).__name__}: a seed is "
            f"named, as seed=1."
        )
    if dataset.name != recipe.data:
        raise CourseError(f"{recipe.name!r} trains on {recipe.data!r}, but was given {dataset.name!r}.")


def check_evaluation(dataset: Dataset) -> None:
    """Make sure, before anything is trained, that a network can be evaluated on the test images.

    Raises:
        CourseError: there are none, they have another size than the training images, a pixel or a label is
            out of range, or the classes are too few or too many for predictions.
    """
    count, test = len(dataset.classes), dataset.test
    if not 2 <= count <= MOST_CLASSES:
        raise CourseError(f"A run is of 2 to {MOST_CLASSES} classes, and {dataset.name!r} has {count}.")
    if not len(test):
        raise CourseError(f"{dataset.name!r} has no test images, on which a run is evaluated: add some.")
    if test.pixels.shape[1:] != dataset.train.pixels.shape[1:]:
        one, other = ("×".join(map(str, images.pixels.shape[1:])) for images in (dataset.train, test))
        raise CourseError(
            f"The training images of {dataset.name!r} are {one} and its test images {other}: "
            f"make them the same size."
        )
    try:
        check_values(test, count)
    except CourseError as error:
        raise CourseError(f"The test images of {dataset.name!r} do not fit: {error}") from None


def evaluated_anew(kept: Run, dataset: Dataset) -> Run:
    """A recorded run whose network is evaluated on the test images at hand; the training stays as it was.

    Raises:
        CourseError: its weights were not kept, or `dataset` has other training images.
    """
    if dataset.key != kept.key.images:
        raise CourseError(
            f"{kept.recipe.name!r}, seed {kept.seed}, was trained on other images than those found here."
        )
    found, result = _evaluated(kept.network(), kept.recipe, dataset)
    return replace(
        kept,
        model=kept.model | {"classes": len(dataset.classes)},
        data=kept.data | {"n_test": len(dataset.test), "test_fingerprint": dataset.test_fingerprint},
        result=result,
        _predictions=found,
    )


def _evaluated(network, recipe, dataset):
    """The predictions of a finished network, and the figures that a record keeps of them."""
    parts = held_out(recipe, dataset)
    found, losses = predict_parts(network, parts, recipe.views)
    result = {}
    for part, predictions in found.items():
        labels = parts[part.removesuffix("_views")].labels
        result[ACCURACIES[part]] = predictions.accuracy(labels)
        if part in parts:  # not for the mean over views
            result[f"{part}_top2"] = predictions.top2(labels)
    return found, result | {"test_loss": losses["test"]}


def held_out(recipe: Recipe, dataset: Dataset) -> dict[str, Images]:
    """The images that a recipe does not train on: "val", where it holds out any, and "test"."""
    # The other part, a copy of nine tenths of the images, must not stay in memory during the evaluation.
    held = {"val": data.split(dataset.train)[1]} if recipe.holdout else {}
    return held | {"test": dataset.test}


def _run(recipe, dataset, seed, device):
    recipe = recipe_for_profile(recipe)
    if dataset is not None:
        _check_dataset(recipe, dataset)
    if profile() == "recorded" and (kept := _matching_record(recipe, dataset, seed)):
        return kept
    dataset = dataset if dataset is not None else data.load(recipe.data)
    check_evaluation(dataset)
    full = profile() == "full"
    checkpoint = checkpoint_file(RunKey(recipe, dataset.key, seed)) if full else None
    # A bar only where somebody waits: in stored outputs it would differ each time.
    trained = train(recipe, dataset, seed, device=device, checkpoint=checkpoint, progress=full)
    return as_run(recipe, dataset, seed, trained)


def _matching_record(recipe, dataset, seed):
    path = record_file(recipe.name, seed)
    if not path.exists():
        return None
    kept = load_record(path)
    is_the_same = (kept.recipe, kept.seed) == (recipe, seed) and (dataset is None or kept.is_on(dataset))
    return kept if is_the_same else None


def checkpoint_file(key: RunKey) -> Path:
    """Where a run's checkpoint lies: one file for all folders that it is recorded into."""
    return data.cache_folder() / "checkpoints" / key.file_name
