"""Data sets that need no file and no network: `toy` plays CIFAR-10's part, `digits` MNIST's.

`toy` draws ten shape classes as 32×32 colour images; position, size, angle, colours, shading and
noise vary. `digits` are scikit-learn's 1,797 real handwritten digits, enlarged from 8×8 to 20×20 and
centred in 28×28, as MNIST centres its own.
"""

import math

import torch
import torch.nn.functional as F

TOY_CLASSES = tuple("disk ring square frame triangle plus cross star crescent hourglass".split())


def toy(n_train=2_000, n_test=500):
    """((pixels, labels) for training, the same for testing), class names; uint8 [N, 3, 32, 32]."""
    return (_draw(n_train, seed=1), _draw(n_test, seed=2)), TOY_CLASSES


def digits(n_train=1_500):
    """((pixels, labels) for training, the same for testing), class names; uint8 [N, 1, 28, 28]."""
    from sklearn.datasets import load_digits

    bunch = load_digits()
    small = torch.from_numpy(bunch.images)[:, None].float() * 255 / 16
    large = F.interpolate(small, size=20, mode="bilinear", align_corners=False)
    pixels = F.pad(large, (4, 4, 4, 4)).round().to(torch.uint8)
    labels = torch.from_numpy(bunch.target).long()
    order = torch.randperm(len(labels), generator=torch.Generator().manual_seed(0))
    pixels, labels = pixels[order], labels[order]
    parts = (pixels[:n_train], labels[:n_train]), (pixels[n_train:], labels[n_train:])
    return parts, tuple("0123456789")


GENERATORS = {"toy": toy, "digits": digits}


def _draw(n, seed):
    generator = torch.Generator().manual_seed(seed)

    def uniform(low, high, *shape):
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
    return (image.clamp(0, 1) * 255).round().to(torch.uint8), labels


def _coordinates(right, down, radius, angle):
    """Per image, pixel positions relative to the shape's centre, size and angle; [N, 32, 32] each."""
    grid = torch.arange(32) - 15.5
    dx = (grid[None, None, :] - right[:, None, None]) / radius[:, None, None]
    dy = (grid[None, :, None] - down[:, None, None]) / radius[:, None, None]
    cos, sin = angle.cos()[:, None, None], angle.sin()[:, None, None]
    return dx * cos + dy * sin, dy * cos - dx * sin


def _plus(x, y):
    return (torch.minimum(x.abs(), y.abs()) < 0.28) & (torch.maximum(x.abs(), y.abs()) < 1)


def _square(x, y, size):
    return torch.maximum(x.abs(), y.abs()) < size


def _star(x, y):
    return torch.hypot(x, y) < 0.65 + 0.4 * torch.cos(5 * torch.atan2(x, -y))


SHAPES = (
    lambda x, y: torch.hypot(x, y) < 0.95,
    lambda x, y: (torch.hypot(x, y) - 0.75).abs() < 0.25,
    lambda x, y: _square(x, y, 0.85),
    lambda x, y: _square(x, y, 0.95) & ~_square(x, y, 0.5),
    lambda x, y: (y < 0.8) & (y > 2 * x.abs() - 1),
    _plus,
    lambda x, y: _plus((x + y) / math.sqrt(2), (x - y) / math.sqrt(2)),
    _star,
    lambda x, y: (torch.hypot(x, y) < 1) & (torch.hypot(x - 0.5, y) > 0.8),
    lambda x, y: (x.abs() < y.abs()) & (y.abs() < 0.9),
)
