"""Images with their labels, data sets, and the fingerprint that identifies their content."""

import hashlib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path

import torch
from torch import Tensor

from .. import CourseError


@dataclass(frozen=True)
class Images:
    """Pixels, uint8 [N, C, H, W], and their labels, int64 [N].

    Raises:
        CourseError: they are no such tensors, or not equally many. Other whole numbers than uint8 pass,
            because sums and differences of pixels are images, too; what a network is given must be 0 to 255.
    """

    pixels: Tensor
    labels: Tensor

    def __post_init__(self) -> None:
        check_form(self.pixels)
        if not isinstance(self.labels, Tensor) or self.labels.dtype != torch.int64 or self.labels.ndim != 1:
            raise CourseError(
                f"Labels are {_in_words(self.labels)}, but must be a tensor int64 [N], the number of each "
                f"image's class: use torch.as_tensor(labels).long(), and argmax(1) for one-hot rows."
            )
        if len(self.labels) != len(self.pixels):
            raise CourseError(
                f"There are {len(self.pixels):,} images, but {len(self.labels):,} labels: each image has one."
            )

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | Tensor) -> "Images":
        """The images at `index` (a slice, a mask or a tensor of positions), as `Images`."""
        return Images(self.pixels[index], self.labels[index])

    def to(self, device: torch.device | str) -> "Images":
        """The same images on a device; those that are there already are not copied."""
        return Images(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """Training and test images with the names of their classes.

    Args:
        name: what `load` calls it.
        classes: the names of the classes, in the order of the labels.
        source: where the images came from, in words.
        place: the folder or the archive that the images were read from; None where no file was.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    source: str
    place: Path | None = None

    @cached_property
    def fingerprint(self) -> str:
        """The fingerprint of the training images, see `data.fingerprint`.

        Images of a variant have that of the images before the change, followed by the variant's name. This is
        not a field, because `dataclasses.replace` would carry it over to other training images, and the
        recorded runs of the old ones would be replayed for them.
        """
        return fingerprint(self.train)

    @cached_property
    def test_fingerprint(self) -> str:
        """The fingerprint of the test images as they are, also of a variant."""
        return fingerprint(self.test)

    def with_fingerprint(self, known: str) -> "Dataset":
        """A copy whose fingerprint is known and need not be computed."""
        same = replace(self)
        same.__dict__["fingerprint"] = known  # as `cached_property` keeps it
        return same

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        _, channels, height, width = self.train.pixels.shape
        return channels, height, width

    @property
    def key(self) -> tuple[str, int]:
        """What identifies the training images: their fingerprint and their number."""
        return self.fingerprint, len(self.train)

    def __str__(self) -> str:
        shape = "×".join(map(str, self.shape))
        return (
            f"{self.name}: {len(self.train):,} training and {len(self.test):,} test images, "
            f"{shape}, from {self.source}"
        )


def check_form(pixels: Tensor) -> None:
    """Make sure that these can be pixels: whole numbers [N, C, H, W].

    No value is looked at, so that no step waits for a GPU.

    Raises:
        CourseError: they have another type or shape, such as floats from 0 to 1, which would be scaled twice.
    """
    if not isinstance(pixels, Tensor):
        raise CourseError(
            f"The pixels are {_in_words(pixels)}, but must be a tensor uint8 [N, C, H, W]: convert them with "
            f"torch.as_tensor(pixels)."
        )
    if pixels.dtype == torch.bool or pixels.is_floating_point() or pixels.is_complex():
        raise CourseError(
            f"The pixels are {_in_words(pixels)}, but must be whole numbers from 0 to 255 (uint8), because "
            f"the library scales them: for values from 0 to 1 use (pixels * 255).round().to(torch.uint8)."
        )
    if pixels.ndim != 4:
        if pixels.ndim != 3:
            hint = "four axes are needed"
        elif pixels.shape[0] in (1, 3):
            hint = "for a single image use pixels[None]"
        else:
            hint = "for grey images use pixels[:, None]"
        raise CourseError(f"The pixels are {_in_words(pixels)}, but must be uint8 [N, C, H, W]: {hint}.")
    if pixels.shape[1] not in (1, 3) and pixels.shape[3] in (1, 3):
        raise CourseError(
            f"The pixels are {_in_words(pixels)}, with the channels last: use pixels.permute(0, 3, 1, 2)."
        )


def check_values(images: Images, classes: int) -> None:
    """Make sure that a network can be given these images, and that their labels are those of so many classes.

    Raises:
        CourseError: a pixel is not from 0 to 255, or a label is not that of a class.
    """
    if not len(images) or images.pixels.is_meta:
        return
    check_range(images.pixels)
    if images.pixels.max() <= 1 < len(images):
        raise CourseError(
            "No pixel is larger than 1, but they go from 0 to 255: for values from 0 to 1 use "
            "(pixels * 255).round().to(torch.uint8) on the floats, before they are made whole numbers."
        )
    low, high = int(images.labels.min()), int(images.labels.max())
    if not 0 <= low <= high < classes:
        raise CourseError(
            f"The labels go from {low} to {high}, but {classes} classes have 0 to {classes - 1}: "
            f"count the classes from 0."
        )


def check_range(pixels: Tensor) -> None:
    """Make sure that whole numbers are pixels, 0 to 255; free of cost for uint8, which can be nothing else.

    Raises:
        CourseError: they are not.
    """
    if pixels.dtype != torch.uint8 and pixels.numel():
        low, high = int(pixels.min()), int(pixels.max())
        if not 0 <= low <= high <= 255:
            raise CourseError(
                f"The pixels go from {low} to {high}, but must be 0 to 255: convert them to uint8."
            )


def _in_words(values: object) -> str:
    """Such as "float32 [10, 3, 32, 32]", with the type before it where that is not a tensor."""
    words = [] if isinstance(values, Tensor) else [type(values).__name__]
    if hasattr(values, "dtype"):
        words.append(str(values.dtype).removeprefix("torch."))
    if hasattr(values, "shape"):
        words.append(str([*values.shape]))
    return " ".join(words)


def fingerprint(images: Images) -> str:
    """SHA-256 over the bytes of all images and their labels, in hexadecimal.

    It depends neither on the order of the images nor on their device. Images of another shape but with the
    same bytes have the same fingerprint.

    Raises:
        CourseError: a label is not from 0 to 255.
    """
    if len(images) and not 0 <= images.labels.min() <= images.labels.max() <= 255:
        raise CourseError(
            f"The labels go from {images.labels.min()} to {images.labels.max()}, but must be 0 to 255: "
            f"count the classes from 0."
        )
    return _combined(_digests(images))


def _digests(images: Images) -> list[bytes]:
    pixels = images.pixels.cpu().numpy()
    return [
        hashlib.sha256(bytes([label]) + image.tobytes()).digest()
        for image, label in zip(pixels, images.labels.tolist(), strict=True)
    ]


def _combined(digests: list[bytes]) -> str:
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def put_in_content_order(images: Images) -> str:
    """Sort the images by their SHA-256 digests, in place; returns their fingerprint."""
    digests = _digests(images)
    order = torch.tensor(sorted(range(len(digests)), key=digests.__getitem__))
    images.labels.copy_(images.labels[order])
    # 128 bytes of each image at a time, since indexing makes a copy: all at once would double the memory.
    for part in images.pixels.view(len(order), -1).split(128, dim=1):
        part.copy_(part[order])
    return _combined(digests)
