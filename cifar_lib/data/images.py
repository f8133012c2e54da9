"""Images with their labels, data sets, and what identifies them: a fingerprint of their content."""

import hashlib
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Images:
    """Pixels, uint8 [N, C, H, W], and their labels, int64 [N]."""

    pixels: Tensor
    labels: Tensor

    def __len__(self):
        return len(self.labels)

    def __getitem__(self, index):
        """The images at `index` (a slice, a mask or a tensor of positions), as `Images`."""
        return Images(self.pixels[index], self.labels[index])

    def to(self, device):
        return Images(self.pixels.to(device), self.labels.to(device))


@dataclass(frozen=True)
class Dataset:
    """Training and test images, the ten class names, where they came from.

    `fingerprint` is a SHA-256 over the training images and labels, in hexadecimal, the same in
    whatever order and format they arrived.
    """

    name: str
    train: Images
    test: Images
    classes: tuple[str, ...]
    source: str
    fingerprint: str

    @property
    def key(self) -> tuple[str, int]:
        """What identifies the training images: fingerprint and number, since a part keeps the fingerprint."""
        return self.fingerprint, len(self.train)

    def __str__(self):
        shape = "×".join(str(n) for n in self.train.pixels.shape[1:])
        return (
            f"{self.name}: {len(self.train):,} training and {len(self.test):,} test images, "
            f"{shape}, from {self.source}"
        )


def fingerprint(images):
    """SHA-256 in hexadecimal over all images with their labels, whatever their order."""
    return _fingerprint_of(_digests(images))


def _digests(images):
    pixels = images.pixels.numpy()
    return [
        hashlib.sha256(bytes([label]) + image.tobytes()).digest()
        for image, label in zip(pixels, images.labels.tolist(), strict=True)
    ]


def _fingerprint_of(digests):
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def put_in_content_order(images):
    """Order the images by their digests, in place; return their fingerprint."""
    digests = _digests(images)
    order = torch.tensor(sorted(range(len(digests)), key=digests.__getitem__))
    images.labels.copy_(images.labels[order])
    for part in images.pixels.view(len(order), -1).split(128, dim=1):  # so few pixels are held twice
        part.copy_(part[order])
    return _fingerprint_of(digests)
