"""Every hyper-parameter set, by name. A recipe is data: printable, comparable, frozen."""

import dataclasses
import difflib
import math
import re
from dataclasses import dataclass, field

from . import CourseError

OPTIMIZERS = ("adam", "adamw", "sgd", "muon")
SCHEDULES = ("constant", "step", "cosine", "one-cycle", "linear")
LOSSES = ("cross-entropy", "squared-error")
BORDERS = ("black", "mirror")
QUICK_EPOCHS = 2
QUICK_BATCH = 1_000  # the generated images are 2,000
QUICK_DATA = {"cifar10": "toy", "mnist": "digits"}
QUICK_OPTIONS = {"skip-cnn": {"width": 8}, "fast-cnn": {"widths": [16, 32, 32]}}
WARM_UP_SHARE = 0.25
LARGEST = 1e30  # what float32 can hold with room to spare


@dataclass(frozen=True)
class Recipe:
    """What to train, on what, and how.

    Args:
        data: a name for `data.load`.
        model, options: a name of `models.MODELS` and the arguments of its class.
        rate: learning rate at the start, or at the peak ("one-cycle").
        weight_decay: coupled with the gradient in "adam" and "sgd", decoupled in "adamw" and "muon".
        schedule: "step" multiplies the rate by `decay_factor` every `decay_every` epochs.
        flip, crop, border: augmentation, see `data.batches`.
        loss: what training makes smaller, see `train.training_loss`.
        label_smoothing: this share of each label is spread over all classes (cross entropy only).
        sides: image sizes by progress, as [[0, 24], [0.7, 32]]: side 24 first, 32 after 70 % of the
            epochs; empty for the images' own size.
        cut: images of another side are cut out at a random place, not shrunk.
        views: how many views of each image the final evaluation averages: 1, 2 or 6, see
            `evaluate.logits`.
        holdout: train on 90 % of the training images and validate on the rest; without it train on all.
    """

    name: str
    data: str = "cifar10"
    model: str = "skip-cnn"
    options: dict = field(default_factory=dict)
    epochs: int = 70
    batch_size: int = 64
    optimizer: str = "adam"
    rate: float = 0.01
    weight_decay: float = 0.0
    schedule: str = "constant"
    decay_every: int = 15
    decay_factor: float = 0.1
    flip: bool = False
    crop: int = 0
    border: str = "black"
    loss: str = "cross-entropy"
    label_smoothing: float = 0.0
    sides: list = field(default_factory=list)
    cut: bool = False
    views: int = 1
    holdout: bool = True

    def __post_init__(self):
        for name in ("name", "data", "model", "options", "flip", "sides", "cut", "holdout"):
            value, kind = getattr(self, name), self.__dataclass_fields__[name].type
            if not isinstance(value, kind):
                raise CourseError(f"{name} is of type {kind.__name__}, not {value!r}.")
        if not re.fullmatch(r"[\w.+-]+", self.name):
            raise CourseError(f"A recipe's name is part of file names, so {self.name!r} cannot be one.")
        for name, least in (("epochs", 1), ("batch_size", 1), ("decay_every", 1), ("crop", 0)):
            value = getattr(self, name)
            whole = isinstance(value, int) and not isinstance(value, bool)
            if not whole or not least <= value <= LARGEST:
                raise CourseError(f"{name} is a whole number of at least {least}, not {value!r}.")
        for name in ("rate", "weight_decay", "decay_factor", "label_smoothing"):
            value = getattr(self, name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not 0 <= value <= LARGEST:
                raise CourseError(f"{name} is a number of at least 0, not {value!r}.")
        for name, known in (
            ("optimizer", OPTIMIZERS),
            ("schedule", SCHEDULES),
            ("loss", LOSSES),
            ("border", BORDERS),
        ):
            if getattr(self, name) not in known:
                raise CourseError(f"{name} is one of {', '.join(known)}, not {getattr(self, name)!r}.")
        if self.views not in (1, 2, 6):
            raise CourseError(f"views is 1, 2 or 6, not {self.views!r}.")
        if self.label_smoothing > 1:
            raise CourseError(f"label_smoothing is at most 1, not {self.label_smoothing!r}.")
        if not _are_sides(self.sides):
            raise CourseError(f"sides are written [[0, 24], [0.7, 32]], not {self.sides!r}.")

    def but(self, **changes):
        """The same recipe with some fields changed.

        Raises:
            CourseError: no such field, or a value that cannot be.
        """
        for name in changes:
            if name not in self.__dataclass_fields__:
                raise CourseError(f"A recipe has no {name!r}{_nearest(name, self.__dataclass_fields__)}.")
        return dataclasses.replace(self, **changes)

    def quick(self):
        """The same idea on generated data and a tiny budget: for tests and first tries."""
        base, _, variant = self.data.partition("/")
        epochs = max(1, min(self.epochs // 2, QUICK_EPOCHS))
        return self.but(
            name=f"{self.name}-quick",
            data="/".join(filter(None, [QUICK_DATA.get(base, base), variant])),
            options=self.options | QUICK_OPTIONS.get(self.model, {}),
            epochs=epochs,
            batch_size=min(self.batch_size, QUICK_BATCH),
            decay_every=max(1, epochs - 1),  # one drop, so that it still shows
        )

    def rate_at(self, epoch):
        """The learning rate at a moment counted in epochs from 0, fractions included.

        "step" is the paper's; "cosine" is Loshchilov and Hutter (2017), equation 5, without
        restarts; "one-cycle" climbs in a straight line for a quarter of the time, then falls to 0;
        "linear" falls to 0 in a straight line.
        """
        done = epoch / self.epochs
        if self.schedule == "step":
            return self.rate * self.decay_factor ** (int(epoch) // self.decay_every)
        if self.schedule == "cosine":
            return self.rate * (1 + math.cos(math.pi * done)) / 2
        if self.schedule == "linear":
            return self.rate * (1 - done)
        if self.schedule == "one-cycle":
            return self.rate * min(done / WARM_UP_SHARE, (1 - done) / (1 - WARM_UP_SHARE))
        return self.rate

    def side_at(self, epoch):
        """The side of the images at the epoch of that number, counted from 0; None for their own."""
        sides = [side for start, side in self.sides if start * self.epochs <= epoch]
        return sides[-1] if sides else None

    def as_dict(self):
        return dataclasses.asdict(self)


def get(name):
    """The recipe of that name; "NAME-quick" gives the quick form of NAME.

    Raises:
        CourseError: there is none; the nearest name is suggested.
    """
    if name in RECIPES:
        return RECIPES[name]
    if name.removesuffix("-quick") in RECIPES:
        return RECIPES[name.removesuffix("-quick")].quick()
    raise CourseError(f"There is no recipe {name!r}{_nearest(name, RECIPES)}: see recipes.RECIPES.")


def _are_sides(steps):
    """Whether these are pairs of a share, rising from 0 and below 1, and a whole number of pixels."""
    if not all(isinstance(step, list) and len(step) == 2 for step in steps):
        return False
    starts, sides = [start for start, _ in steps], [side for _, side in steps]
    return (
        all(isinstance(start, int | float) and 0 <= start < 1 for start in starts)
        and all(isinstance(side, int) and side > 0 for side in sides)
        and starts == sorted(set(starts))
        and starts[:1] in ([], [0])
    )


def _nearest(name, known):
    near = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {near[0]!r}" if near else ""


_PAPER = Recipe("paper", weight_decay=0.003, schedule="step")
_STUDY = Recipe("study", options={"width": 16}, epochs=8, batch_size=128, rate=0.005, schedule="one-cycle")
_MLP = Recipe("mlp", model="mlp", options={"hidden": [128]}, epochs=8, batch_size=128, rate=0.001)
_SMALL = _STUDY.but(name="small", options={"width": 8}, epochs=4)


def _small(name, **options):
    """The small recipe with other options of the network."""
    return _SMALL.but(name=f"small-{name}", options=_SMALL.options | options)


def _depth(depth, skip, norm):
    kind = "-".join(["skip"] * skip + ["norm"] * norm) or "plain"
    options = {"depth": depth, "skip": skip, "batch_norm": norm, "stride": 4}
    return _SMALL.but(name=f"depth-{depth}-{kind}", model="deep-cnn", options=options, epochs=2, rate=0.002)


def _grid(name, **changes):
    """The paper's recipe on a narrow network for four epochs, the last at a tenth of the rate."""
    return _PAPER.but(name=f"grid-{name}", options={"width": 8}, epochs=4, decay_every=3, **changes)


def _family(name, model, **options):
    return _SMALL.but(name=f"family-{name}", model=model, options=options, rate=0.002)


def _ladder(*rungs):
    """Chapter 8's rungs: each recipe is the one before with some fields changed."""
    recipe = _PAPER.but(options={"width": 14}, epochs=4, decay_every=1)
    for name, changes in rungs:
        recipe = recipe.but(name=f"ladder-{name}", **changes)
        yield recipe


_NARROW = {"widths": [16, 48, 48], "whiten": False, "dirac": False}
_FAST72 = Recipe(
    "fast72",
    model="fast-cnn",
    options={"widths": [24, 64, 64]},
    epochs=2,
    batch_size=500,
    optimizer="muon",
    rate=0.2,
    schedule="linear",
    flip=True,
    label_smoothing=0.2,
    sides=[[0, 16], [0.5, 24]],
    views=2,
)
_FAST94 = _FAST72.but(
    name="fast94",
    options={"widths": [128, 384, 384]},
    epochs=12,
    batch_size=1000,
    rate=0.24,
    crop=4,
    border="mirror",
    sides=[[0, 20], [0.15, 24], [0.3, 32]],
    views=6,
)
_PUBLISHED = _FAST94.but(
    name="fast-published",
    options={"widths": [64, 256, 256]},
    epochs=8,
    batch_size=2000,
    crop=2,
    sides=[],
)
_LEAN = _PUBLISHED.but(
    name="fast-lean",
    options={"widths": [64, 256, 256], "inner": [64, 128, 256]},
    epochs=10,
    batch_size=500,
    rate=0.14,
    sides=[[0, 24], [0.3, 28], [0.8, 32]],
    cut=True,
)

RECIPES = {
    recipe.name: recipe
    for recipe in (
        _PAPER,
        _PAPER.but(name="paper-constant-rate", schedule="constant"),
        _MLP,
        _MLP.but(name="mlp-shuffled", data="cifar10/shuffled"),
        _MLP.but(name="mlp-grey", data="cifar10/grey"),
        _MLP.but(name="mlp-28x28", data="cifar10/28x28"),
        _MLP.but(name="mlp-grey-28x28", data="cifar10/grey-28x28"),
        _MLP.but(name="mlp-mnist", data="mnist"),
        _MLP.but(name="mlp-mnist-moved", data="mnist/moved"),
        _MLP.but(name="mlp-mnist-noise", data="mnist/noise"),
        _MLP.but(name="mlp-mnist-moved-noise", data="mnist/moved-noise"),
        _STUDY,
        _STUDY.but(name="study-shuffled", data="cifar10/shuffled"),
        _STUDY.but(name="study-pool", options={"width": 16, "head": "pool"}),
        _STUDY.but(name="study-constant", schedule="constant"),
        _STUDY.but(name="study-cosine", schedule="cosine"),
        _SMALL,
        _SMALL.but(name="small-grey-28x28", data="cifar10/grey-28x28"),
        _SMALL.but(name="small-mnist", data="mnist"),
        _SMALL.but(name="small-mnist-moved-noise", data="mnist/moved-noise"),
        # Without the concatenation the network has fewer weights: width 9 makes up for it.
        _small("add", merge="add", width=9),
        _small("no-skip", merge="none", width=9),
        _small("tanh", activation="tanh"),
        _small("sigmoid", activation="sigmoid"),
        _SMALL.but(name="small-squared-error", loss="squared-error"),
        *(_SMALL.but(name=f"small-rate-{rate:g}", rate=rate) for rate in (0.001, 0.02)),
        *(_small(f"no-norm-rate-{rate:g}", batch_norm=False).but(rate=rate) for rate in (0.001, 0.005, 0.02)),
        *(
            _SMALL.but(name=f"small-{kind}-{rate:g}", optimizer=kind, rate=rate, schedule="constant")
            for kind, rates in (("adam", (0.001, 0.003, 0.01)), ("sgd", (0.01, 0.03, 0.1)))
            for rate in rates
        ),
        *(
            _depth(depth, skip, norm)
            for depth in (6, 20, 50)
            for skip in (False, True)
            for norm in (False, True)
        ),
        *(
            _grid(f"rate-{rate:g}-decay-{decay:g}", rate=rate, weight_decay=decay)
            for rate in (0.003, 0.01, 0.03)
            for decay in (0.0, 0.003)
        ),
        *(_grid(f"batch-{size}", batch_size=size) for size in (128, 256)),
        *(_grid(f"adamw-decay-{decay:g}", optimizer="adamw", weight_decay=decay) for decay in (0.003, 0.03)),
        _family("mlp", "mlp", hidden=[128]),
        _family("lenet-5", "lenet-5"),
        _family("beginner", "beginner"),
        _family("alexnet", "alexnet"),
        _family("vgg", "vgg"),
        _family("googlenet", "googlenet"),
        _family("factorised", "googlenet", factorised=True),
        _family("resnet", "resnet"),
        _family("paper", "skip-cnn", width=16),
        _FAST72,
        _FAST94,
        _FAST94.but(name="fast94-all", holdout=False),
        _PUBLISHED,
        _LEAN,
        *_ladder(
            ("paper", {}),
            ("no-decay", {"weight_decay": 0.0}),
            ("schedule", {"schedule": "one-cycle"}),
            ("network", {"model": "fast-cnn", "options": _NARROW}),
            ("whitening", {"options": _NARROW | {"whiten": True}}),
            ("dirac", {"options": {"widths": _NARROW["widths"]}}),
            ("muon", {"optimizer": "muon", "rate": 0.2, "batch_size": 500}),
            ("smoothing", {"label_smoothing": 0.2}),
            ("augmentation", {"flip": True, "crop": 2}),
            ("growing", {"epochs": 6, "sides": [[0, 20], [0.3, 24], [0.6, 32]], "views": 6}),
            ("wider", {"options": {"widths": [32, 128, 128]}}),
        ),
    )
}
