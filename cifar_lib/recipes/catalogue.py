"""Every recipe of the book, by name."""

import hashlib
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from .. import CourseError
from .recipe import Init, Recipe, as_json, nearest

_PAPER = Recipe("paper", weight_decay=0.003, schedule="step")
_STUDY = Recipe("study", options={"width": 16}, epochs=8, batch_size=128, rate=0.005, schedule="one-cycle")
_MLP = Recipe("mlp", model="mlp", options={"hidden": [128]}, epochs=8, batch_size=128, rate=0.001)
_WIDTH_16 = _STUDY.options
# Each about three times the one before. The best of a side should not be the first or the last, so a side
# whose best was the last has one more.
_ADAM_RATES = (0.0015, 0.005, 0.015, 0.045)
_HIGHER_RATES = (*_ADAM_RATES, 0.135)
_SGD_RATES = (0.01, 0.03, 0.1, 0.3)
_SMALL = _STUDY.replace(name="small", options={"width": 8}, epochs=4)


def _on(recipe: Recipe, *names: str) -> Iterator[Recipe]:
    """A recipe on other data, which end its name: "mlp-grey" on "cifar10/grey", "mlp-mnist" on "mnist"."""
    for data in names:
        kind = data.removeprefix("cifar10/").replace("/", "-")
        yield recipe.replace(name=f"{recipe.name}-{kind}", data=data)


def _depth(depth: int, skip: bool, norm: bool, init: Init = "default") -> Recipe:
    """Chapter 7's network of equal convolutions, at a depth, with or without skips and batch norm."""
    kind = "-".join(["skip"] * skip + ["norm"] * norm) or "plain"
    kind += "-he" * (init == "he")
    options = {"depth": depth, "skip": skip, "batch_norm": norm, "stride": 4}
    return _SMALL.replace(
        name=f"depth-{depth}-{kind}", model="deep-cnn", options=options, init=init, epochs=2, rate=0.002
    )


def _tuned(name: str, *rates: float, **changes: Any) -> Iterator[Recipe]:
    """One side of a comparison at the study budget, at each of the rates among which validation chooses."""
    for rate in rates:
        yield _STUDY.replace(name=f"tuned-{name}-{rate:g}", rate=rate, **changes)


def _grid(name: str, **changes: Any) -> Recipe:
    """The paper's recipe on a narrow network for four epochs, the last at a tenth of the rate."""
    return _PAPER.replace(name=f"grid-{name}", options={"width": 8}, epochs=4, decay_every=3, **changes)


def _family(name: str, model: str, **options: Any) -> Iterator[Recipe]:
    """Chapter 8's recipe, the same for every network of the family tree, with either start."""
    recipe = _SMALL.replace(name=f"family-{name}", model=model, options=options, rate=0.002)
    yield recipe
    yield recipe.replace(name=f"{recipe.name}-he", init="he")


# The ground of chapter 9's ladder, whose last epoch runs at a tenth of the rate.
_GROUND = _PAPER.replace(name="ladder-paper", options={"width": 14}, epochs=4, decay_every=3)


def _ladder(*rungs: tuple[str, dict[str, Any]]) -> Iterator[Recipe]:
    """Chapter 9's rungs: each recipe is the one before it with some fields changed."""
    recipe = _GROUND
    for name, changes in rungs:
        recipe = recipe.replace(name=f"ladder-{name}", **changes)
        yield recipe


_WIDTHS = {"widths": [16, 48, 48]}
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
_FAST94 = _FAST72.replace(
    name="fast94",
    options={"widths": [128, 384, 384]},
    epochs=12,
    batch_size=1000,
    rate=0.24,
    shift=4,
    border="mirror",
    sides=[[0, 20], [0.15, 24], [0.3, 32]],
    views=6,
)
_PUBLISHED = _FAST94.replace(
    name="fast-published",
    options={"widths": [64, 256, 256]},
    epochs=8,
    batch_size=2000,
    shift=2,
    sides=[],
)
_LEAN = _PUBLISHED.replace(
    name="fast-lean",
    options={"widths": [64, 256, 256], "inner": [64, 128, 256]},
    epochs=10,
    batch_size=500,
    rate=0.14,
    sides=[[0, 24], [0.3, 28], [0.8, 32]],
    crop=True,
)
RECIPES = {
    recipe.name: recipe
    for recipe in (
        _PAPER,
        _PAPER.replace(name="paper-constant-rate", schedule="constant"),
        _PAPER.replace(name="paper-no-decay", weight_decay=0.0),
        _PAPER.replace(name="paper-no-skip", options={"merge": "none"}),
        _PAPER.replace(name="paper-no-skip-no-decay", options={"merge": "none"}, weight_decay=0.0),
        _PAPER.replace(name="paper-adamw", optimizer="adamw"),
        # Other networks that fit the paper's text, which gives neither widths nor the last layers.
        _PAPER.replace(name="paper-width-16", options=_WIDTH_16),
        _PAPER.replace(name="paper-pool", options={"head": "pool"}),
        _PAPER.replace(name="paper-width-16-pool", options=_WIDTH_16 | {"head": "pool"}),
        _PAPER.replace(name="paper-add", options={"merge": "add"}),
        _PAPER.replace(name="paper-three-convolutions", options={"convolutions": 3}),
        _MLP,
        *_on(_MLP, "cifar10/shuffled", "cifar10/grey", "cifar10/28x28", "cifar10/grey-28x28"),
        *_on(_MLP, "mnist", "mnist/moved", "mnist/noise", "mnist/moved-noise", "mnist/scaled"),
        # Wide and long enough to learn labels by heart.
        _MLP.replace(
            name="mlp-random-labels", data="cifar10/random-labels", options={"hidden": [512]}, epochs=40
        ),
        _STUDY,
        *_on(_STUDY, "cifar10/shuffled"),
        _STUDY.replace(name="study-pool", options={"width": 16, "head": "pool"}),
        _STUDY.replace(name="study-constant", schedule="constant"),
        _STUDY.replace(name="study-cosine", schedule="cosine"),
        _SMALL,
        *_on(_SMALL, "cifar10/grey-28x28", "mnist", "mnist/scaled", "mnist/moved-noise"),
        *(_SMALL.replace(name=f"small-rate-{rate:g}", rate=rate) for rate in (0.001, 0.02)),
        *(
            _SMALL.replace(
                name=f"small-no-norm-rate-{rate:g}", options=_SMALL.options | {"batch_norm": False}, rate=rate
            )
            for rate in (0.001, 0.005, 0.02)
        ),
        *(
            _SMALL.replace(name=f"small-{kind}-{rate:g}", optimizer=kind, rate=rate, schedule="constant")
            for kind, rates in (("adam", (0.001, 0.003, 0.01)), ("sgd", (0.01, 0.03, 0.1)))
            for rate in rates
        ),
        *(
            _depth(depth, skip, norm)
            for depth in (6, 20, 50)
            for skip in (False, True)
            for norm in (False, True)
        ),
        *(_depth(depth, skip, False, "he") for depth in (6, 20, 50) for skip in (False, True)),
        *_tuned("study", *_ADAM_RATES),
        *_tuned("tanh", *_HIGHER_RATES, options=_WIDTH_16 | {"activation": "tanh"}),
        *_tuned("sigmoid", *_HIGHER_RATES, options=_WIDTH_16 | {"activation": "sigmoid"}),
        *_tuned("squared-error", *_ADAM_RATES, loss="squared-error"),
        *_tuned("no-norm", *_ADAM_RATES, options=_WIDTH_16 | {"batch_norm": False}),
        # Without the concatenation the network has fewer weights, which width 18 makes up for.
        *_tuned("add", *_ADAM_RATES, options={"width": 18, "merge": "add"}),
        *_tuned("no-skip", *_ADAM_RATES, options={"width": 18, "merge": "none"}),
        *_tuned("sgd", *_SGD_RATES, optimizer="sgd"),
        *(
            _grid(f"rate-{rate:g}-decay-{decay:g}", rate=rate, weight_decay=decay)
            for rate in (0.003, 0.01, 0.03)
            for decay in (0.0, 0.003)
        ),
        *(_grid(f"batch-{size}", batch_size=size) for size in (128, 256)),
        *(_grid(f"adamw-decay-{decay:g}", optimizer="adamw", weight_decay=decay) for decay in (0.003, 0.03)),
        *_family("mlp", "mlp", hidden=[128]),
        *_family("lenet-5", "lenet-5"),
        *_family("beginner", "beginner"),
        *_family("alexnet", "alexnet"),
        *_family("vgg", "vgg"),
        *_family("googlenet", "googlenet"),
        *_family("factorised", "googlenet", factorised=True),
        *_family("resnet", "resnet"),
        *_family("paper", "skip-cnn", width=16),
        _FAST72,
        _FAST94,
        _FAST94.replace(name="fast94-all", holdout=False),
        _PUBLISHED,
        _LEAN,
        _GROUND,
        _GROUND.replace(name="ladder-squeezed", weight_decay=0.0, decay_every=1),
        *_ladder(
            ("no-decay", {"weight_decay": 0.0}),
            ("schedule", {"schedule": "one-cycle"}),
            ("network", {"model": "fast-cnn", "options": _WIDTHS | {"whiten": False, "dirac": False}}),
            ("whitening", {"options": _WIDTHS | {"whiten": True, "dirac": False}}),
            ("dirac", {"options": _WIDTHS}),  # because whitening and Dirac filters are the network's defaults
            ("muon", {"optimizer": "muon", "rate": 0.2, "batch_size": 500}),
            ("smoothing", {"label_smoothing": 0.2}),
            ("augmentation", {"flip": True, "shift": 2}),
            ("growing", {"epochs": 6, "sides": [[0, 20], [0.3, 24], [0.6, 32]], "views": 6}),
            ("wider", {"options": {"widths": [32, 128, 128]}}),
        ),
    )
}


def get(name: str) -> Recipe:
    """The recipe of that name, as a copy; "NAME-quick" gives the quick form of NAME.

    Raises:
        CourseError: there is none; the sentence suggests the most similar name.
    """
    if name in RECIPES:
        return RECIPES[name].model_copy(deep=True)  # whoever changes its options changes no other recipe
    if name.removesuffix("-quick") in RECIPES:
        return RECIPES[name.removesuffix("-quick")].quick()
    raise CourseError(
        f"There is no recipe {name!r}{nearest(name, RECIPES)}: python -m cifar_lib list recipes shows all."
    )


def under_own_name(recipe: Recipe) -> Recipe:
    """The recipe under a name that no other recipe has, as NAME+3f2a9c1b; one of the book's keeps its own.

    The eight digits are those of a hash of all fields but the name, so the same changes give the same name.

    Raises:
        CourseError: an option is of a kind that no file can hold.
    """
    with suppress(CourseError):
        if get(recipe.name) == recipe:
            return recipe
    # Without defaults, so that a field that is added later changes no name.
    fields = as_json(recipe.model_dump(exclude={"name"}, exclude_defaults=True), sort_keys=True)
    digest = hashlib.sha256(fields.encode()).hexdigest()[:8]
    return recipe.replace(name=f"{recipe.name.partition('+')[0] or 'changed'}+{digest}")


def changes_of(recipe: Recipe) -> list[str]:
    """How a recipe that `under_own_name` named differs from the book's, as --set takes it: "epochs=5".

    Raises:
        CourseError: an option is of a kind that no file can hold.
    """
    try:
        before = get(recipe.name.partition("+")[0]).as_dict()
    except CourseError:
        return []
    changes = []
    for name, value in recipe.as_dict().items():
        former = before[name]
        if name == "name" or value == former:
            continue
        if name == "options" and recipe.model == before["model"] and value.keys() >= former.keys():
            changes += [f"options.{key}={_json(one)}" for key, one in value.items() if former.get(key) != one]
        else:
            changes.append(f"{name}={value if isinstance(value, str) else _json(value)}")
    return changes


def _json(value: Any) -> str:
    return as_json(value, separators=(",", ":"))
