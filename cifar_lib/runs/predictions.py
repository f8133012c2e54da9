"""What a finished network predicts for every validation and test image, kept beside its record.

A file per run holds the two likeliest classes of each image and their probabilities, in the order of the
data set, which is an order by content. So a new statistic needs no new training. The file is safetensors in
gzip: two formats that run no code when they are read. Labels are kept once per data set in the same way.
"""

import gzip
import io
import json
import zlib
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load, save
from torch import Tensor, nn

from .. import CourseError, evaluate
from ..data import Images
from ..system.files import atomic_write, reading

VERSION = "1"
STEPS = 255  # a probability is kept as a whole number of 255ths
PACKED_CLASSES = 16  # of so few, two fit into a byte
MOST_CLASSES = 256  # one fits into a byte
LARGEST = 10_000_000  # bytes of an unpacked file; the largest has 100,000


@dataclass(frozen=True)
class Predictions:
    """The two likeliest classes of each of N images.

    Args:
        classes: uint8 [N, 2], the likelier first.
        probabilities: float32 [N, 2], 0 to 1, in steps of 1/255.
    """

    classes: Tensor
    probabilities: Tensor

    def __len__(self) -> int:
        return len(self.classes)

    def right(self, labels: Tensor) -> Tensor:
        """Whether each image's likeliest class is its label's: bool [N].

        Args:
            labels: int64 [N].

        Raises:
            CourseError: there is not one label for each image.
        """
        if labels.shape != (len(self),):  # other shapes would be stretched to fit
            raise CourseError(f"There are {len(self)} images, but labels of the shape {list(labels.shape)}.")
        return self.classes[:, 0] == labels

    def accuracy(self, labels: Tensor) -> float:
        """The share of images whose likeliest class is right, 0 to 1; labels and errors as in `right`."""
        return self.right(labels).double().mean().item()

    def top2(self, labels: Tensor) -> float:
        """The share of images whose label is one of their two likeliest classes; arguments as in `right`."""
        return (self.right(labels) | (self.classes[:, 1] == labels)).double().mean().item()


def predictions_of(logits: Tensor) -> Predictions:
    """The predictions that outputs float32 [N, classes] stand for."""
    best = logits.softmax(1).topk(2)
    return Predictions(best.indices.byte(), (best.values * STEPS).round() / STEPS)


def predict_parts(model: nn.Module, parts: dict[str, Images], views: int) -> tuple[dict, dict]:
    """Predictions and cross entropy (nats) of a network for each part of the images.

    Args:
        parts: "val" and "test", or "test" alone.
        views: with more than one, the mean over the views is a part of its own, as "test_views".

    Returns:
        `Predictions` by part, and the mean loss of the plain view by part.
    """
    found, losses = {}, {}
    for part, images in parts.items():
        plain, mean = evaluate.predict_plain_and_mean(model, images.pixels, views)
        found[part], losses[part] = predictions_of(plain), evaluate.loss(plain, images.labels)
        if views > 1:
            found[f"{part}_views"] = predictions_of(mean)
    return found, losses


def save_predictions(path: Path, found: dict[str, Predictions], notes: dict[str, str]) -> None:
    """Write predictions by part, whole or not at all.

    Args:
        notes: what they are of, as text by name; kept in the file.

    Raises:
        CourseError: the file cannot be written.
    """
    tensors = {}
    for part, predictions in found.items():
        first, second = predictions.classes.unbind(1)
        if (predictions.classes < PACKED_CLASSES).all():
            tensors[f"{part}.classes"] = first * PACKED_CLASSES + second  # both in one byte
        else:
            tensors[f"{part}.classes"] = torch.stack([first, second])
        # All of the likeliest, then all of the second: neighbours that are alike pack better.
        tensors[f"{part}.probabilities"] = (predictions.probabilities.T * STEPS).round().byte().contiguous()
    _save(path, tensors, notes)


def load_predictions(path: Path) -> tuple[dict[str, Predictions], dict[str, str]]:
    """Read predictions by part, and the notes that `save_predictions` was given.

    Raises:
        CourseError: the file is missing or damaged, or of a version that this one does not know.
    """
    tensors, notes = _load(path, "The predictions")
    try:
        parts = [name.removesuffix(".classes") for name in tensors if name.endswith(".classes")]
        found = {}
        for part in parts:
            classes, shares = tensors[f"{part}.classes"], tensors[f"{part}.probabilities"]
            if (classes.dtype, shares.dtype) != (torch.uint8, torch.uint8):
                raise ValueError("dtype")
            if classes.dim() == 1:
                classes = torch.stack([classes // PACKED_CLASSES, classes % PACKED_CLASSES])
            if classes.dim() != 2 or shares.shape != classes.shape or len(classes) != 2:
                raise ValueError("shape")
            found[part] = Predictions(classes.T.contiguous(), shares.T.float() / STEPS)
        if not found:
            raise ValueError("empty")
    except (KeyError, ValueError):
        raise CourseError(_damaged(path, "The predictions")) from None
    return found, notes


def save_labels(path: Path, labels: dict[str, Tensor], notes: dict[str, str]) -> None:
    """Write the labels of a data set by part, int64 [N] each, whole or not at all."""
    _save(path, {f"{part}.labels": values.byte() for part, values in labels.items()}, notes)


def load_labels(path: Path) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Read labels by part, int64 [N] each, and the notes that `save_labels` was given.

    Raises:
        CourseError: as `load_predictions`.
    """
    tensors, notes = _load(path, "The labels")
    if not tensors or not all(name.endswith(".labels") for name in tensors):
        raise CourseError(_damaged(path, "The labels"))
    return {name.removesuffix(".labels"): values.long() for name, values in tensors.items()}, notes


def _save(path, tensors, notes):
    # One entry, because safetensors writes several in an order that differs from time to time.
    entry = {"notes": json.dumps(notes | {"version": VERSION}, sort_keys=True)}
    content = gzip.compress(save(tensors, entry), 9, mtime=0)
    with atomic_write(path) as aside:
        aside.write_bytes(content)


def _load(path, what):
    path = Path(path)
    with reading(path):
        if not path.exists():
            raise CourseError(f"{what} {path} are missing: fetch that file again, or record the run.")
        packed = path.read_bytes()
    try:
        with gzip.open(io.BytesIO(packed)) as file:
            content = file.read(LARGEST + 1)
        if len(content) > LARGEST:
            raise ValueError("too large")
        tensors, notes = load(content), _notes(content)
    except (OSError, EOFError, zlib.error, ValueError, KeyError, TypeError, SafetensorError):
        raise CourseError(_damaged(path, what)) from None
    if notes.get("version") != VERSION:
        raise CourseError(
            f"{what} {path} have version {notes.get('version')!r}, but this library reads {VERSION}: "
            f"fetch the version of the course that wrote them."
        )
    return tensors, notes


def _notes(content):
    """The notes of a safetensors file, whose own reader of bytes gives the tensors alone."""
    length = int.from_bytes(content[:8], "little")
    return json.loads(json.loads(content[8 : 8 + length])["__metadata__"]["notes"])


def _damaged(path, what):
    return f"{what} {path} are damaged: fetch that file again, or delete it and record the run."
