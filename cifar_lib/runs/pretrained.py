"""Networks that are trained already, in `cifar_lib/pretrained/`: fp16 weights, a model card, predictions.

`publish` makes the three files of a network from a recorded run, so that no number on a card is written by
hand, and `load_pretrained` opens them.
"""

import copy
import hashlib
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from safetensors.torch import save_file
from torch import Tensor, nn

from .. import CourseError, data, evaluate, models
from ..data.images import check_form
from ..recipes import Recipe
from ..recipes.recipe import nearest
from ..system.files import atomic_write, reading
from .predictions import Predictions, load_predictions, predictions_of, save_predictions
from .record import PREDICTIONS, SCHEMA, WEIGHTS, Amount, Share, load_record, record_file, weights_file
from .replay import held_out
from .weights import load_network

PRETRAINED = Path(__file__).parent.parent / "pretrained"
DEFAULT = "fast-lean"  # the network that answers when no other is named
SEED = 0
DIGITS = 4  # behind the point, of what another machine may compute with other last bits
ABOUT = {
    "fast-lean": "The most accurate of the four. It is a convolutional network whose first layer whitens the "
    "image, trained for ten epochs.",
    "study": "A narrower form of the paper's network, trained for eight epochs.",
    "paper": "The network of the paper, a small CNN with one skip connection, trained for 70 epochs by the "
    "paper's recipe.",
    "mlp": "A fully connected network with one hidden layer. It takes no account of which pixels are "
    "neighbours, and is here for comparison.",
}
SEED_RULE = "Seed 0 of the recipe is taken for every network. No seed was chosen by its accuracy."
NOT_FOR = [
    "Pictures of anything but the ten classes. The network has no eleventh class and no answer that means "
    "none of them, so it names one of the ten whatever the picture shows, often with a high probability.",
    "Decisions about people, health, safety, traffic or money. It was made for a course, and was tested on "
    "CIFAR-10 alone.",
    "A promise of the same accuracy on your own photographs. They differ from CIFAR-10, whose images were "
    "chosen so that one object fills most of each, and the probabilities were calibrated on CIFAR-10 too.",
]
LICENCE = (
    "MIT, as the code. The images of CIFAR-10 come from the web, and its authors state no licence for them."
)


class Measured(BaseModel):
    """What was measured of the fp16 weights.

    Args:
        val_accuracy, test_accuracy: the share of images that it gets right, 0 to 1.
        test_interval: Wilson's 95 per cent interval of the test accuracy.
        test_recall: the share of each class's test images that it gets right, in the order of the classes.
        temperature: what its logits are divided by, fitted on the validation images.
        test_ece: the expected calibration error on the test images at temperature 1, and at `temperature`.
        test_loss: the mean cross entropy in nats on the test images at the same two temperatures.
    """

    model_config = ConfigDict(extra="forbid", frozen=True, protected_namespaces=())

    val_accuracy: Share
    test_accuracy: Share
    test_interval: tuple[Share, Share]
    test_recall: list[Share]
    temperature: Annotated[float, Field(gt=0)]
    test_ece: tuple[Share, Share]
    test_loss: tuple[Amount, Amount]


class ViewsMeasured(Measured):
    """What was measured of the mean over several views of each image, see `evaluate.predict`.

    Args:
        number: of views.
    """

    number: Annotated[int, Field(gt=1)]


class Card(Measured):
    """The model card of a network: what it is, how it was made, what was measured, what it is not for.

    What it has from `Measured` is for one view of each image.

    Args:
        name: the name of the recipe that trained it.
        about: what the network is, in a sentence or two.
        not_for: what it should not be used for.
        licence: under which terms the weights may be used.
        recipe: the fields of the recipe.
        seed: the seed of the recorded run.
        seed_rule: how the seed was chosen.
        environment: the device, the versions and the code of the training.
        data: name and fingerprints of the images, and how many there are of each part.
        shape: channels, height, width of an image.
        classes: the names of the classes, in the order of the outputs.
        parameters: the number of trained numbers.
        views: the same for the mean over the views of the recipe, where it has several.
        changed: of how many test images fp16 changes the predicted class, for one view.
        sha256: the checksum of the file of weights, in hexadecimal.
    """

    name: str
    about: str
    not_for: list[str]
    licence: str
    recipe: dict[str, Any]
    seed: int
    seed_rule: str
    environment: dict[str, str]
    data: dict[str, Any]
    shape: tuple[int, int, int]
    classes: list[str]
    parameters: int
    views: ViewsMeasured | None = None
    changed: Annotated[int, Field(ge=0)]
    sha256: str


@dataclass(frozen=True)
class Pretrained:
    """A trained network with what its answers need.

    Args:
        name: the name of its recipe.
        network: in evaluation mode on the CPU, its weights as float32.
        classes: the names of its outputs, in their order.
        shape: channels, height, width of the images that it takes.
        temperature: what its logits are divided by; 1 where none was fitted.
        card: its model card, where it has one.
        views: 1, 2 or 6, as in `evaluate.predict`: of how many its recipe takes the mean, if its card says
            what that is worth.
    """

    name: str
    network: nn.Module
    classes: tuple[str, ...]
    shape: tuple[int, int, int]
    temperature: float = 1.0
    card: Card | None = None
    views: int = 1

    def measured(self, views: int = 1) -> Measured | None:
        """What its card says of the mean over so many views; None where it says nothing of it."""
        if self.card is None or views == 1:
            return self.card
        return self.card.views if self.card.views and self.card.views.number == views else None

    def classify(self, pixels: Tensor, views: int = 1) -> Tensor:
        """Probabilities float32 [N, classes] for images uint8 [N, C, H, W], see `evaluate.classify`.

        Args:
            views: as in `evaluate.predict`. The mean over those on its card has a temperature of its own.

        Raises:
            CourseError: as `evaluate.predict`; or the images have another shape than the network's.
        """
        check_form(pixels)
        if pixels.shape[1:] != self.shape:
            given, taken = ("×".join(map(str, shape)) for shape in (pixels.shape[1:], self.shape))
            raise CourseError(
                f"{self.name!r} was trained on images of {taken}, not {given}: data.photograph makes such an "
                f"image of any photograph, and evaluate.classify asks a network about any images."
            )
        found = self.measured(views)
        return evaluate.classify(
            self.network, pixels, found.temperature if found else self.temperature, views
        )


def pretrained_names() -> list[str]:
    """The networks that come with the library, by falling test accuracy."""
    cards = [load_card(path.stem) for path in PRETRAINED.glob("*.json")]
    return [card.name for card in sorted(cards, key=lambda card: -card.test_accuracy)]


def load_card(name: str) -> Card:
    """The model card of a network that comes with the library.

    Raises:
        CourseError: there is no such network, or its card is damaged.
    """
    path = _place(name).with_suffix(".json")
    try:
        return _read_card(path)
    except ValidationError:
        raise CourseError(f"The model card {path} is damaged: fetch that file again.") from None


def load_pretrained(name: str = DEFAULT) -> Pretrained:
    """A network that comes with the library, ready to classify.

    Raises:
        CourseError: there is no such network, or one of its files is missing or damaged.
    """
    return _of_card(_place(name).with_suffix(WEIGHTS), load_card(name))


def load_pretrained_predictions(name: str) -> dict[str, Predictions]:
    """What a network that comes with the library predicts for the "val" and "test" images.

    Where its recipe takes several views, the parts "val_views" and "test_views" are of the mean over them.
    The probabilities are those at its temperatures.

    Raises:
        CourseError: there is no such network, or the file is damaged.
    """
    return load_predictions(_place(name).with_suffix(PREDICTIONS))[0]


def load_weights(path: Path | str) -> Pretrained:
    """A network from a file of weights, fp16 or float32, beside which a JSON file says what they are of.

    The JSON has the same name: it is the record that `python -m cifar_lib record --keep-weights` writes, or a
    model card. A record has no temperature.

    Raises:
        CourseError: one of the two files is missing or damaged, or they do not belong together.
    """
    path = Path(path)
    described = path.with_suffix(".json")
    _ask_for(path, described)
    try:
        card = _read_card(described)
    except ValidationError:
        run = load_record(described)
        shape = tuple(run.model["shape"])
        network = load_network(path, run.recipe, shape, len(run.class_names))
        return Pretrained(run.recipe.name, network, run.class_names, shape, views=run.recipe.views)
    return _of_card(path, card)


def publish(name: str, records: Path | str | None = None, folder: Path | str | None = None) -> Card:
    """Make weights, predictions and card of a network from the recorded run of seed 0.

    The card's numbers are those of the fp16 weights, evaluated here and now.

    Args:
        name: a recipe that `ABOUT` describes.
        records: the folder of the recorded run, whose weights were kept; by default `cifar_lib/recorded`.
        folder: where the files go; by default `cifar_lib/pretrained`.

    Raises:
        CourseError: the run or its weights are missing, or the images found are not those it was trained on.
    """
    if name not in ABOUT:
        raise CourseError(
            f"{name!r} is not published{nearest(name, ABOUT)}: choose one of {', '.join(ABOUT)}."
        )
    run = load_record(record_file(name, SEED, records))
    kept = weights_file(name, SEED, records)
    if not kept.exists():
        raise CourseError(f"{kept} was not found: record {name!r} with --keep-weights.")
    dataset = data.load(run.recipe.data)
    if dataset.key != run.key.images:
        raise CourseError(f"{name!r} was trained on other images than those found here.")

    exact = run.network()
    weights = {  # counters stay whole numbers
        key: value.half() if value.is_floating_point() else value for key, value in exact.state_dict().items()
    }
    rounded = copy.deepcopy(exact)
    rounded.load_state_dict(weights)
    parts, count = held_out(run.recipe, dataset), run.recipe.views
    labels = {part: images.labels for part, images in parts.items()}
    plain, mean = {}, {}
    for part, images in parts.items():
        plain[part], mean[part] = evaluate.predict_plain_and_mean(rounded, images.pixels, count)
    of_one, views = _measured(plain, labels), None
    predictions = {part: predictions_of(found / of_one["temperature"]) for part, found in plain.items()}
    if count > 1:
        views = ViewsMeasured(number=count, **_measured(mean, labels))
        for part, found in mean.items():
            predictions[f"{part}_views"] = predictions_of(found / views.temperature)
    before = evaluate.predict(exact, parts["test"].pixels)

    stem = Path(folder or PRETRAINED) / name
    with atomic_write(stem.with_suffix(WEIGHTS)) as aside:
        save_file(weights, aside)
    checksum = _checksum(stem.with_suffix(WEIGHTS))
    save_predictions(
        stem.with_suffix(PREDICTIONS),
        predictions,
        {"recipe": name, "seed": str(SEED), "weights": checksum},
    )
    card = Card(
        name=name,
        about=ABOUT[name],
        not_for=NOT_FOR,
        licence=LICENCE,
        recipe=run.recipe.as_dict(),
        seed=SEED,
        seed_rule=SEED_RULE,
        environment=run.environment,
        data=_images_used(dataset, parts),
        shape=dataset.shape,
        classes=list(dataset.classes),
        parameters=models.count_parameters(exact),
        views=views,
        changed=int((plain["test"].argmax(1) != before.argmax(1)).sum()),
        sha256=checksum,
        **of_one,
    )
    with atomic_write(stem.with_suffix(".json")) as aside:
        aside.write_text(card.model_dump_json(indent=1) + "\n", encoding="utf-8")
    return card


def _images_used(dataset, parts):
    return {
        "name": dataset.name,
        "fingerprint": dataset.fingerprint,
        "test_fingerprint": dataset.test_fingerprint,
        "n_train": len(dataset.train) - len(parts["val"]),
        "n_val": len(parts["val"]),
        "n_test": len(parts["test"]),
    }


def _measured(logits, labels):
    """The fields of `Measured`, from outputs and labels by part."""
    # Rounded before it is used, so that the numbers belong to the temperature that is stated.
    temperature = round(evaluate.fit_temperature(logits["val"], labels["val"]), DIGITS)
    test, right = logits["test"], labels["test"]
    share = evaluate.accuracy(test, right)
    counts = evaluate.confusion(test, right)
    both = test, test / temperature
    return {
        "val_accuracy": evaluate.accuracy(logits["val"], labels["val"]),
        "test_accuracy": share,
        "test_interval": evaluate.wilson_interval(share, len(right)),
        "test_recall": (counts.diagonal() / counts.sum(1)).tolist(),
        "temperature": temperature,
        "test_ece": [round(evaluate.calibration(found, right)[3], DIGITS) for found in both],
        "test_loss": [round(evaluate.loss(found, right), DIGITS) for found in both],
    }


def _place(name: str) -> Path:
    """The path of the files of a network that comes with the library, without their endings."""
    known = [path.stem for path in PRETRAINED.glob("*.json")]
    if name not in known:
        raise CourseError(
            f"No weights of {name!r} come with the library{nearest(name, known)}: choose one of "
            f"{', '.join(sorted(known))}, or name a file of your own."
        )
    return PRETRAINED / name


def _read_card(path: Path) -> Card:
    """A card, or pydantic's error where the file holds something else."""
    with reading(path):
        return Card.model_validate_json(path.read_bytes())


def _ask_for(*files: Path) -> None:
    for file in files:
        if not file.is_file():
            raise CourseError(
                f"{file} was not found: weights are two files of one name, NAME{WEIGHTS} and NAME.json, as "
                f"python -m cifar_lib record RECIPE --keep-weights writes them."
            )


def _of_card(path: Path, card: Card) -> Pretrained:
    """The network of a file of weights beside which this card lies."""
    _ask_for(path)
    try:
        recipe = Recipe.from_record(card.recipe, SCHEMA)
    except CourseError as error:
        raise CourseError(
            f"The model card {path.with_suffix('.json')} is damaged: fetch that file again. {error}"
        ) from None
    # What the card promises was measured with its own weights, and others of the same network fit it as well.
    if _checksum(path) != card.sha256:
        raise CourseError(
            f"The weights in {path} are damaged, or not those of {recipe.name!r} that the card beside them "
            f"describes (their checksum differs): fetch both files again."
        )
    network = load_network(path, recipe, card.shape, len(card.classes))
    views = card.views.number if card.views else 1
    return Pretrained(recipe.name, network, tuple(card.classes), card.shape, card.temperature, card, views)


def _checksum(path: Path) -> str:
    """The SHA-256 of a file, in hexadecimal."""
    with reading(path), open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
