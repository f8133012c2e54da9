"""The same images changed: shuffled, grey, small, shifted, noisy."""

import torch
import torch.nn.functional as F

from .batching import augment, draw_shifts
from .images import Images


def shift(images: Images, right: int = 0, down: int = 0) -> Images:
    """The images moved by whole pixels; black comes in at the border."""
    shifts = torch.tensor([[-down], [-right]]).expand(2, len(images))
    return Images(augment(images.pixels, shifts), images.labels)


def shuffle_pixels(images, seed=0):
    """Every image with its pixel positions shuffled, in one and the same way for all."""
    n, channels, height, width = images.pixels.shape
    order = torch.randperm(height * width, generator=torch.Generator().manual_seed(seed))
    return Images(images.pixels.flatten(2)[:, :, order].view(n, channels, height, width), images.labels)


def grey(images):
    """Colour to one channel: the brightness that the eye sees (ITU-R BT.601)."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    pixels = [(part * weights).sum(1, keepdim=True).round().byte() for part in images.pixels.split(5_000)]
    return Images(torch.cat(pixels), images.labels)


def resize(images, side=28):
    """The images at MNIST's size, by averaging."""
    pixels = [
        F.interpolate(part.float(), size=side, mode="bilinear", antialias=True, align_corners=False)
        for part in images.pixels.split(5_000)
    ]
    return Images(torch.cat([part.round().byte() for part in pixels]), images.labels)


def shift_randomly(images, reach=6, seed=0):
    """Each image moved by its own draw of up to `reach` pixels each way; black comes in."""
    generator = torch.Generator().manual_seed(seed)
    return Images(augment(images.pixels, draw_shifts(len(images), reach, generator)), images.labels)


def colour_noise(images, seed=0):
    """Grey images drawn in a random colour each, over a background of coloured noise."""
    generator = torch.Generator().manual_seed(seed)
    parts = []
    for part in images.pixels.split(5_000):
        n, _, height, width = part.shape
        ink = part / 255
        colour = torch.rand(n, 3, 1, 1, generator=generator)
        noise = torch.rand(n, 3, height, width, generator=generator)
        parts.append((255 * (ink * colour + (1 - ink) * noise)).round().byte())
    return Images(torch.cat(parts), images.labels)


VARIANTS = {
    "shuffled": shuffle_pixels,
    "grey": grey,
    "28x28": resize,
    "grey-28x28": lambda images: resize(grey(images)),
    "moved": shift_randomly,
    "noise": colour_noise,
    "moved-noise": lambda images: colour_noise(shift_randomly(images)),
}
