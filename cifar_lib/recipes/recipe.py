"""A recipe: every hyper-parameter of a training run, as data that can be printed and compared."""

import copy
import difflib
import json
import math
import reprlib
from collections.abc import Iterable
from typing import Annotated, Any, Literal, Self, get_args

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from .. import CourseError

Optimizer = Literal["adam", "adamw", "sgd", "muon"]
Schedule = Literal["constant", "step", "cosine", "one-cycle", "linear"]
Loss = Literal["cross-entropy", "squared-error"]
Border = Literal["black", "mirror"]
Init = Literal["default", "he"]
OPTIMIZERS, SCHEDULES, LOSSES = get_args(Optimizer), get_args(Schedule), get_args(Loss)
QUICK_EPOCHS = 2
QUICK_BATCH = 1_000  # there are only 2,000 generated images
QUICK_OPTIONS: dict[str, dict[str, Any]] = {"skip-cnn": {"width": 8}, "fast-cnn": {"widths": [16, 32, 32]}}
WARM_UP_SHARE = 0.25  # of a one-cycle schedule, in which the rate climbs
DECAY_FACTOR = 0.1  # the paper's, section 3
LARGEST, MOST = 1e30, 10**9  # limits of numbers, which float32 must hold, and of counts
FORMER_NAMES = {"crop": "shift", "cut": "crop"}  # of fields, in records of schema 1


def _sides(sides: list) -> list:
    """The sides as lists.

    Raises:
        ValueError: they are not pairs of a share, which rises from 0 and stays below 1, and a whole number of
            pixels.
    """
    if not all(isinstance(step, list | tuple) and len(step) == 2 for step in sides):
        raise ValueError("not pairs")
    starts, sizes = [start for start, _ in sides], [side for _, side in sides]
    numbers = all(isinstance(start, int | float) and 0 <= start < 1 for start in starts)
    if not numbers or not all(type(side) is int and side > 0 for side in sizes):
        raise ValueError("not a share and a size")
    if starts != sorted(set(starts)) or starts[:1] not in ([], [0]):
        raise ValueError("not rising from 0")
    return [list(step) for step in sides]


Whole = Annotated[int, Field(ge=1, le=MOST, description="a whole number of at least 1")]
Amount = Annotated[float, Field(ge=0, le=LARGEST, description="a number of at least 0")]
Truth = Annotated[bool, Field(description="True or False")]


class Recipe(BaseModel):
    """What to train, on what, and how. Its fields cannot be set; `replace` makes another.

    pydantic checks the fields, so that a wrong value gives the same sentence from Python, from the command
    line and from a file.

    Args:
        name: part of the names of files; letters, digits and . + - _ only.
        data: a name for `data.load`.
        model: a name of `models.MODELS`.
        options: arguments of that network, without `shape` and `classes`, which come from the data.
        init: the first values of the weights: "default" leaves PyTorch's, "he" draws them as
            `models.he_init` does.
        epochs: passes over the training images.
        batch_size: images per training step.
        optimizer: "adam", "adamw", "sgd" or "muon", see `training.make_optimizer`.
        rate: learning rate at the start, or at the peak ("one-cycle").
        weight_decay: coupled with the gradient in "adam" and "sgd", decoupled in "adamw" and "muon".
        schedule: how the rate changes, see `rate_at`.
        decay_every: epochs between two drops of the rate ("step" only).
        flip, shift, border: augmentation, see `data.Augmentation`.
        loss: what training minimises, see `training.training_loss`.
        label_smoothing: the share of each label that is spread over all classes (cross entropy only).
        sides: image sizes by progress; [[0, 24], [0.7, 32]] means side 24 first, and 32 after 70 % of the
            epochs. Empty for the images' own size.
        crop: images of another side are cropped at a random place instead of shrunk.
        views: how many views of each image the final evaluation averages: 1, 2 or 6, see
            `evaluate.predict`.
        holdout: train on 90 % of the training images and validate on the rest; False trains on all.

    Raises:
        CourseError: there is no such field, or it cannot have that value.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())

    name: str = Field(pattern=r"^[\w.+-]+$", description="part of file names: letters, digits and . + - _")
    data: str = Field("cifar10", description="the name of a data set")
    model: str = Field("skip-cnn", description="the name of a network")
    options: dict[str, Any] = Field({}, description="the network's arguments by name")
    init: Init = "default"
    epochs: Whole = 70
    batch_size: Whole = 64
    optimizer: Optimizer = "adam"
    rate: Amount = 0.01
    weight_decay: Amount = 0.0
    schedule: Schedule = "constant"
    decay_every: Whole = 15
    flip: Truth = False
    shift: int = Field(0, ge=0, le=MOST, description="a whole number of at least 0")
    border: Border = "black"
    loss: Loss = "cross-entropy"
    label_smoothing: float = Field(0.0, ge=0, le=1, description="a number from 0 to 1")
    sides: Annotated[list, AfterValidator(_sides)] = Field([], description="written [[0, 24], [0.7, 32]]")
    crop: Truth = False
    views: Literal[1, 2, 6] = Field(1, description="1, 2 or 6")
    holdout: Truth = True

    def __init__(self, name: str, **fields: Any):
        try:
            super().__init__(name=name, **fields)
        except ValidationError as error:
            raise CourseError(_sentence(error)) from None

    def __setattr__(self, name: str, value: Any) -> None:
        raise CourseError(f"A recipe's {name} cannot be set: use replace({name}=...), which makes another.")

    def __str__(self) -> str:
        return repr(self)

    @classmethod
    def from_record(cls, fields: dict[str, Any], schema: int) -> Self:
        """The recipe that a record holds. Fields that were added later take their defaults.

        Args:
            fields: the fields by the names that they had when the record was written.
            schema: the version of the record, 1 or 2; the first has other names for some fields.

        Raises:
            CourseError: as for a new recipe.
        """
        if schema == 1:
            fields = {FORMER_NAMES.get(name, name): value for name, value in fields.items()}
            if fields.get("decay_factor") == DECAY_FACTOR:  # a field once, although it never varied
                del fields["decay_factor"]
        if "name" not in fields:  # the only field without a default
            raise CourseError("The recipe has no name.")
        return cls(**fields)

    def replace(self, **changes: Any) -> Self:
        """The same recipe with some fields changed.

        Raises:
            CourseError: there is no such field, or it cannot have that value.
        """
        return type(self)(**(self.as_dict() | changes))

    def quick(self) -> Self:
        """The same idea on generated data with a tiny budget, for tests and first tries."""
        from ..data.specs import SPECS  # here, because the package imports torch, which takes a second

        base, _, variant = self.data.partition("/")
        epochs = max(1, min(self.epochs // 8, QUICK_EPOCHS))
        return self.replace(
            name=f"{self.name}-quick",
            data="/".join(filter(None, [SPECS[base].stand_in if base in SPECS else base, variant])),
            # A copy, because a list that two recipes share would be changed for both.
            options=copy.deepcopy(self.options | QUICK_OPTIONS.get(self.model, {})),
            epochs=epochs,
            batch_size=min(self.batch_size, QUICK_BATCH),
            decay_every=max(1, epochs - 1),  # one drop, so that the schedule still shows
        )

    def rate_at(self, epoch: float) -> float:
        """The learning rate at a moment of training.

        "constant" keeps `rate`; "step", the paper's, divides it by ten every `decay_every` epochs;
        "cosine" is equation 5 of Loshchilov and Hutter (2017) without restarts; "one-cycle" climbs from 0
        in a straight line for a quarter of the time, then falls to 0 in another; "linear" falls to 0 in a
        straight line.

        Args:
            epoch: the moment in epochs since the start, fractions included, from 0 to `epochs`.
        """
        done = epoch / self.epochs
        if self.schedule == "step":
            return self.rate * DECAY_FACTOR ** (int(epoch) // self.decay_every)
        if self.schedule == "cosine":
            return self.rate * (1 + math.cos(math.pi * done)) / 2
        if self.schedule == "linear":
            return self.rate * (1 - done)
        if self.schedule == "one-cycle":
            return self.rate * min(done / WARM_UP_SHARE, (1 - done) / (1 - WARM_UP_SHARE))
        return self.rate

    def side_at(self, epoch: int) -> int | None:
        """The side in pixels of the images in an epoch, counted from 0; None for their own size."""
        sides = [side for start, side in self.sides if start * self.epochs <= epoch]
        return sides[-1] if sides else None

    def as_dict(self) -> dict[str, Any]:
        """The fields by name, as they are kept in a record."""
        return self.model_dump()


def as_json(content: Any, **settings: Any) -> str:
    """What a recipe holds as JSON, with the settings of `json.dumps`.

    Raises:
        CourseError: an option is something that JSON cannot hold, as a function or a tensor.
    """
    try:
        return json.dumps(content, **settings)
    except TypeError:
        raise CourseError(
            "An option of this recipe is of a kind that no file can hold: use numbers, texts, True, False, "
            "None and lists of these."
        ) from None


def _sentence(error: ValidationError) -> str:
    """What is wrong with the first bad field, and what it should be."""
    first = error.errors()[0]
    name = str(first["loc"][0])
    if first["type"] == "extra_forbidden":
        return f"A recipe has no {name!r}{nearest(name, Recipe.model_fields)}."
    field = Recipe.model_fields[name]
    wanted = field.description or f"one of {', '.join(get_args(field.annotation))}"
    return f"{name} is {wanted}, not {reprlib.repr(first['input'])}."


def nearest(name: str, known: Iterable[str]) -> str:
    """The end of an error's sentence that asks for the most similar known name; '' where none is similar."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f"; did you mean {near[0]!r}" if near else ""
