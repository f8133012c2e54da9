"""Images with their labels, data sets, and the fingerprint that identifies their content."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Images:
    """Pixels, uint8 [N, C, H, W], and their labels, int64 [N]."""

    pixels: Tensor
    labels: Tensor

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, index: slice | Tensor) -> "Images":
        """The images at `index` (a slice, a mask or a tensor of positions), as `Images`."""
        return Images(self.pixels[index], self.labels[index])

    def to(self, device: torch.device | str) -> "Images":
        return Images(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """Training and test images with the names of their classes.

    Args:
        name: what `load` calls it.
        classes: the names of the classes, in the order of the labels.
        source: where the images came from, in words.
        fingerprint: see `fingerprint`; of the training images as they were before any variant.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    source: str
    fingerprint: str

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of one image."""
        _, channels, height, width = self.train.pixels.shape
        return channels, height, width

    @property
    def key(self) -> tuple[str, int]:
        """What identifies the training images: their fingerprint, which a part of them keeps, and number."""
        return self.fingerprint, len(self.train)

    def __str__(self) -> str:
        shape = "×".join(map(str, self.shape))
        return (
            f"{self.name}: {len(self.train):,} training and {len(self.test):,} test images, "
            f"{shape}, from {self.source}"
        )


def fingerprint(images: Images) -> str:
    """SHA-256 over all images and their labels, in hexadecimal; it does not depend on their order."""
    return _combined(_digests(images))


def _digests(images: Images) -> list[bytes]:
    pixels = images.pixels.numpy()
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
