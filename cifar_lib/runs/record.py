"""Recorded runs: one JSON file a run, written only when the run is complete.

Those of the course lie in `cifar_lib/recorded`. New ones join them in a copy of the course's repository, and
otherwise go to the folder `runs` in the cache folder.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Any

import torch
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from .. import CourseError
from ..data import SPECS, Dataset, cache_folder
from ..data.variants import OTHER_LABELS
from ..recipes import Recipe
from ..training import RunKey
from .predictions import Predictions, load_predictions
from .weights import load_network

SCHEMA = 2  # 1 called the recipe's `shift` crop, and its `crop` cut
PREDICTIONS, WEIGHTS = ".predictions.gz", ".safetensors"  # how the names of files beside a record end
ACCURACIES = {  # what a result calls the accuracy of each part
    "test": "test_accuracy",
    "val": "val_accuracy",
    "test_views": "test_accuracy_views",
    "val_views": "val_accuracy_views",
}
RECORDED = Path(__file__).parent.parent / "recorded"
# An installed package has no plan beside it. What was written into one would go with its next version.
IS_CHECKOUT = (Path(__file__).parents[2] / "book" / "computing-plan.csv").exists()

Count = Annotated[int, Field(ge=0, lt=2**63)]
Amount = Annotated[float, Field(ge=0)]
Share = Annotated[float, Field(ge=0, le=1)]


class _Part(BaseModel):
    """What the readers of a record rely on; more may stand beside it."""

    model_config = ConfigDict(extra="allow", strict=True, protected_namespaces=())


class _Model(_Part):
    name: str
    parameters: Count
    flops: Count
    shape: Annotated[list[Annotated[int, Field(gt=0)]], Field(min_length=3, max_length=3)]


class _Data(_Part):
    name: str
    fingerprint: str
    n_train: Count
    n_val: Count
    n_test: Count
    classes: list[str] | None = None  # their names; earlier records have none


class _Epoch(_Part):
    epoch: Count
    rate: Amount
    train_loss: Amount
    seconds: Amount


class _ValidatedEpoch(_Epoch):
    val_loss: Amount
    val_accuracy: Share


class _Result(_Part):
    test_accuracy: Share
    test_top2: Share
    test_loss: Amount


class _ValidatedResult(_Result):
    val_accuracy: Share
    val_top2: Share


class _Environment(_Part):
    device: str
    torch: str
    python: str
    code: str


class _Record(_Part):
    recipe: dict[str, Any]
    model: _Model
    data: _Data
    seed: Count
    history: Sequence[_Epoch]
    result: _Result
    environment: _Environment
    seconds: Amount


class _ValidatedRecord(_Record):
    history: Sequence[_ValidatedEpoch]
    result: _ValidatedResult


PARTS = tuple(_Record.model_fields)  # in the order in which they are written


@dataclass
class Run:
    """One training, live or replayed.

    Args:
        recipe: what was trained.
        model: name, parameters, flops, shape and classes of the network.
        data: name, fingerprints and classes of the images, and how many there are of each part.
        seed: as in `training.train`.
        history: a dict per epoch, see `training.train`.
        result: accuracies (0 to 1) and losses (nats) of the finished network, by name.
        environment: the device, the versions and the code of the training.
        seconds: the time of training and validation.
        replayed: read from a record.
        folder: where the record lies that it was read from; None for a run that was trained here and now.
    """

    recipe: Recipe
    model: dict[str, Any]
    data: dict[str, Any]
    seed: int
    history: list[dict[str, Any]]
    result: dict[str, float]
    environment: dict[str, str]
    seconds: float
    replayed: bool = False
    _network: torch.nn.Module | None = field(default=None, repr=False)
    _predictions: dict[str, Predictions] | None = field(default=None, repr=False)
    folder: Path | None = field(default=None, repr=False)

    def __str__(self) -> str:
        # Times stay out of stored outputs: executing again must not change them.
        how = "Replayed" if self.replayed else f"Trained on {self.environment['device']}"
        share, n = self.result["test_accuracy"], self.data["n_test"]
        return f"{self.recipe.name}, seed {self.seed}: test accuracy {share:.1%} of {n:,}. {how}."

    @property
    def key(self) -> RunKey:
        """What makes another training the same run."""
        images = self.data["n_train"] + self.data["n_val"]
        return RunKey(self.recipe, (self.data["fingerprint"], images), self.seed)

    def is_on(self, dataset: Dataset) -> bool:
        """Whether it was trained and evaluated on these images; earlier records know only the former."""
        same_test = self.data.get("test_fingerprint") in (None, dataset.test_fingerprint)
        return self.key.images == dataset.key and same_test

    @property
    def class_names(self) -> tuple[str, ...]:
        """The names of the classes; of a data set of one's own in an earlier record, their numbers."""
        count = self.model.get("classes", 10)
        spec = SPECS.get(self.data["name"].partition("/")[0])
        known = self.data.get("classes") or (spec.classes if spec else ())
        return tuple(known) if len(known) == count else tuple(f"class {i}" for i in range(count))

    def column(self, name: str) -> list[Any]:
        """One quantity of the history over the epochs.

        Args:
            name: a key of its entries, see `training.train`.

        Raises:
            CourseError: there is no such key.
        """
        known = [key for key in self.history[0] if all(key in entry for entry in self.history)]
        if name not in known:
            raise CourseError(f"The history has no {name!r}: choose one of {', '.join(known)}.")
        return [entry[name] for entry in self.history]

    def network(self) -> torch.nn.Module:
        """The trained network, in evaluation mode on the CPU.

        Raises:
            CourseError: the run is replayed and its weights were not recorded, or see `load_network`.
        """
        if self._network is None:
            file = weights_file(self.recipe.name, self.seed, self.folder)
            if not file.exists():
                raise CourseError(
                    f"No weights were recorded for {self.recipe.name!r}, seed {self.seed}: train it "
                    f"with CIFAR_PROFILE=full."
                )
            shape, classes = tuple(self.model["shape"]), self.model.get("classes", 10)
            self._network = load_network(file, self.recipe, shape, classes)
        return self._network.eval()

    def predictions(self, part: str = "test") -> Predictions:
        """What the trained network predicts for each image of a part, in the data set's order.

        Args:
            part: "val" or "test"; "val_views" or "test_views" for the mean over a recipe's views.

        Raises:
            CourseError: no predictions were kept, or none of this part.
        """
        found = self.all_predictions()
        if part not in found:
            raise CourseError(
                f"{self.recipe.name!r}, seed {self.seed}, has no predictions of {part!r}: "
                f"choose one of {', '.join(found)}."
            )
        return found[part]

    def all_predictions(self) -> dict[str, Predictions]:
        """The predictions of each part, see `predictions`."""
        if self._predictions is None:
            file = predictions_file(self.recipe.name, self.seed, self.folder)
            found, notes = load_predictions(file)
            if notes.get("images") != self.data.get("test_fingerprint"):
                raise CourseError(f"The predictions {file} are of other images than the record beside them.")
            self._predictions = found
        return self._predictions


def as_record(done: Run) -> dict[str, Any]:
    """A run as the dict that is kept as JSON."""
    return {"schema": SCHEMA} | {
        name: done.recipe.as_dict() if name == "recipe" else getattr(done, name) for name in PARTS
    }


def load_record(path: Path | str) -> Run:
    """Read one recorded run; older schemas are translated.

    Raises:
        CourseError: the file is missing, cannot be read, is not a record, or of a schema that this version
            does not know.
    """
    path = Path(path)
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
        schema = content["schema"]
        if schema not in range(1, SCHEMA + 1):
            raise CourseError(
                f"{path} has schema {schema!r}, but this version reads 1 to {SCHEMA}: "
                f"fetch the version of the course that wrote it."
            )
        recipe = _recipe_of(content, path)
        _check(content, recipe)
        parts = {name: content[name] for name in PARTS} | {"recipe": recipe}
        return Run(**parts, replayed=True, folder=path.parent)
    except FileNotFoundError:
        raise CourseError(f"{path} was not found: restore it, or record it again.") from None
    except OSError as error:
        raise CourseError(f"{path} cannot be read: {error.strerror}.") from None
    except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
        raise CourseError(
            f"{path} is not a recorded run ({_reason(error)}): restore it, or record it again."
        ) from None


def _recipe_of(content, path):
    if not isinstance(content["recipe"], dict):
        raise TypeError("recipe")
    try:
        return Recipe.from_record(content["recipe"], content["schema"])
    except CourseError as error:
        raise CourseError(f"{path} is not a recorded run: restore it, or record it again. {error}") from None


def _check(content, recipe):
    (_ValidatedRecord if recipe.holdout else _Record).model_validate(content)
    epochs = [entry["epoch"] for entry in content["history"]]
    if len(epochs) != recipe.epochs or epochs != list(range(1, len(epochs) + 1)):
        raise ValueError("its epochs are not complete")


def _reason(error):
    """What is wrong, in few words."""
    if isinstance(error, ValidationError):
        first = error.errors()[0]
        return f"{'.'.join(map(str, first['loc']))}: {first['msg'].lower()}"
    return f"{error} is missing" if isinstance(error, KeyError) else str(error) or type(error).__name__


def load_runs(name: str, folder: Path | str | None = None) -> list[Run]:
    """All recorded runs of a recipe, by seed.

    Raises:
        CourseError: there is none.
    """
    # Where both folders have a seed, the course's record counts, as in `record_file`.
    folders = [Path(folder)] if folder else [RECORDED, new_records_folder()]
    found = _runs_in(folders, name)
    if not found:
        raise CourseError(f"No run of {name!r} is recorded: python -m cifar_lib record {name}")
    return list(found.values())


def find_runs(name: str, folder: Path | str | None = None) -> dict[int, Run]:
    """The runs of a recipe that are kept, by seed.

    Args:
        folder: where to look, by default in `run_folders`: where the command line keeps what it trains, and
            among the course's records. Where both have a run of the same seed, the first is taken.

    Raises:
        CourseError: there is none.
    """
    folders = [Path(folder)] if folder is not None else run_folders()
    found = _runs_in(folders, name)
    if not found:
        raise CourseError(
            f"No run of {name!r} lies in {' or '.join(map(str, folders))}: python -m cifar_lib list runs "
            f"shows those that there are."
        )
    return found


def _runs_in(folders, name):
    """The runs of a recipe by seed; where two folders have a seed, the first counts."""
    paths = {}
    for folder in folders:
        paths = records_in(folder).get(name, {}) | paths
    return {seed: load_record(paths[seed]) for seed in sorted(paths)}


def run_folders() -> list[Path]:
    """Where runs are looked for by default: among your own trainings, then among the course's records."""
    return list(dict.fromkeys([trained_folder(), RECORDED, new_records_folder()]))


def records_in(folder: Path) -> dict[str, dict[int, Path]]:
    """The records of a folder by the name of their recipe and by seed, both in order."""
    found: dict[str, dict[int, Path]] = {}
    for path in folder.glob("*-seed*.json"):
        name, _, seed = path.stem.rpartition("-seed")
        if seed.isdecimal():  # a copy has another name
            found.setdefault(name, {})[int(seed)] = path
    return {name: dict(sorted(found[name].items())) for name in sorted(found)}


def trained_folder() -> Path:
    """Where the command `train` keeps its runs, unless it is told another folder.

    It is a folder in the cache, because the other commands then find a run whatever folder they are called
    in, and because the current folder may be one that nobody wants files in, or may write to.
    """
    return cache_folder() / "trained"


def new_records_folder() -> Path:
    """Where new records go by default.

    That is `cifar_lib/recorded` in a copy of the repository, if it can be written, and otherwise the folder
    `runs` in the cache folder (`data.cache_folder`).
    """
    if IS_CHECKOUT and os.access(RECORDED, os.W_OK):
        return RECORDED
    return cache_folder() / "runs"


def record_file(name: str, seed: int, folder: Path | str | None = None) -> Path:
    """Where the JSON of a run is kept: in `folder`, or by default among the course's or the new records."""
    return _place(f"{name}-seed{seed}.json", folder)


def predictions_file(name: str, seed: int, folder: Path | str | None = None) -> Path:
    """Where the predictions of a run are kept."""
    return record_file(name, seed, folder).with_suffix(PREDICTIONS)


def labels_file(data: str, folder: Path | str | None = None) -> Path:
    """Where the labels are kept that the predictions on a data set, or on a variant of it, are compared with.

    A variant has the labels of its data set, unless it is one of `data.variants.OTHER_LABELS`.
    """
    base, _, variant = data.partition("/")
    return _place(f"{base}-{variant}.labels.gz" if variant in OTHER_LABELS else f"{base}.labels.gz", folder)


def weights_file(name: str, seed: int, folder: Path | str | None = None) -> Path:
    """Where the trained weights of a run are kept, if they are."""
    return record_file(name, seed, folder).with_suffix(WEIGHTS)


def _place(name, folder):
    if folder:
        return Path(folder) / name
    ours = RECORDED / name
    return ours if ours.exists() else new_records_folder() / name
