"""Data sets that need neither files nor network: `toy` stands in for CIFAR-10, `digits` for MNIST.

`toy` draws ten classes of shapes as 32×32 RGB images with random position, size, angle, colours, shading
and noise. `digits` are the 1,797 handwritten digits that come with scikit-learn, enlarged from 8×8 to
20×20 pixels and centred in 28×28, as MNIST centres its own.
"""

import math
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor

from .images import Dataset, Images

TOY_CLASSES = tuple("disk ring square frame triangle plus cross star crescent hourglass".split())


def toy(n_train: int = 2_000, n_test: int = 500) -> Dataset:
    """Shapes, uint8 [N, 3, 32, 32]; image i shows class i mod 10."""
    return Dataset("toy", _draw(n_train, seed=1), _draw(n_test, seed=2), TOY_CLASSES, "generator")


def digits() -> Dataset:
    """Digits, uint8 [N, 1, 28, 28], randomly ordered: the first 1,500 to train on, the other 297 to test."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = torch.from_numpy(bunch.images)[:, None].float() * 255 / 16  # the grey levels are 0..16
    large = F.interpolate(small, size=20, mode="bilinear", align_corners=False)
    pixels = F.pad(large, (4, 4, 4, 4)).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    images = Images(pixels[order], labels[order])
    return Dataset("digits", images[:1_500], images[1_500:], tuple("0123456789"), "generator")


GENERATORS: dict[str, Callable[[], Dataset]] = {"toy": toy, "digits": digits}


def _draw(n: int, seed: int) -> Images:
    generator = torch.Generator().manual_seed(seed)

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(n, *shape, generator=generator)

    labels = torch.arange(n) % len(TOY_CLASSES)
    x, y = _coordinates(uniform(-5, 5), uniform(-5, 5), uniform(8, 12), uniform(-0.2, 0.2))
    inside = torch.stack([mask(x, y) for mask in SHAPES])[labels, torch.arange(n)][:, None]

    foreground, background = uniform(0.5, 1, 3, 1, 1), uniform(0, 0.4, 3, 1, 1)
    ramp = torch.linspace(-0.5, 0.5, 32)
    shading = uniform(-0.3, 0.3, 1, 1, 1) * ramp + uniform(-0.3, 0.3, 1, 1, 1) * ramp[:, None]
    blotches = F.interpolate(uniform(-0.15, 0.15, 3, 5, 5), size=32, mode="bilinear", align_corners=False)
    grain = torch.randn(n, 3, 32, 32, generator=generator) * uniform(0, 0.08, 1, 1, 1)
    image = torch.where(inside, foreground, background + shading + blotches) + grain
    return Images((image.clamp(0, 1) * 255).round().to(torch.uint8), labels)


def _coordinates(right: Tensor, down: Tensor, radius: Tensor, angle: Tensor) -> tuple[Tensor, Tensor]:
    """x and y of each pixel relative to the shape's centre, size and angle; [N, 32, 32] each."""
    grid = torch.arange(32) - 15.5
    dx = (grid[None, None, :] - right[:, None, None]) / radius[:, None, None]
    dy = (grid[None, :, None] - down[:, None, None]) / radius[:, None, None]
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return dx * cos + dy * sin, dy * cos - dx * sin


def _plus(x: Tensor, y: Tensor) -> Tensor:
    return (torch.minimum(x.abs(), y.abs()) < 0.28) & (torch.maximum(x.abs(), y.abs()) < 1)


def _square(x: Tensor, y: Tensor, size: float) -> Tensor:
    return torch.maximum(x.abs(), y.abs()) < size


# One mask per class, in the order of TOY_CLASSES: which points of [-1, 1]² lie inside the shape.
SHAPES: tuple[Callable[[Tensor, Tensor], Tensor], ...] = (
    lambda x, y: torch.hypot(x, y) < 0.95,
    lambda x, y: (torch.hypot(x, y) - 0.75).abs() < 0.25,
    lambda x, y: _square(x, y, 0.85),
    lambda x, y: _square(x, y, 0.95) & ~_square(x, y, 0.5),
    lambda x, y: (y < 0.8) & (y > 2 * x.abs() - 1),
    _plus,
    lambda x, y: _plus((x + y) / math.sqrt(2), (x - y) / math.sqrt(2)),
    lambda x, y: torch.hypot(x, y) < 0.65 + 0.4 * torch.cos(5 * torch.atan2(x, -y)),
    lambda x, y: (torch.hypot(x, y) < 1) & (torch.hypot(x - 0.5, y) > 0.8),
    lambda x, y: (x.abs() < y.abs()) & (y.abs() < 0.9),
)
