"""Changed forms of the same images: shuffled, grey, small, shifted, scaled, noisy, with random labels.

Each function takes uint8 images on the CPU and returns new ones of dtype uint8, all but one with the same
labels. What needs floats works on 5,000 images at a time, because a float takes four times the memory of a
pixel.
"""

from collections.abc import Callable

import torch

from .. import CourseError
from .augmentation import augment, draw_shifts, seeded
from .batching import shrink
from .images import Images

PART = 5_000  # colour_noise draws per part, so another size would give other noise


def shift(images: Images, right: int = 0, down: int = 0) -> Images:
    """The images moved by whole pixels; black comes in at the border."""
    shifts = torch.tensor([[-down], [-right]]).expand(2, len(images))
    return Images(augment(images.pixels, shifts), images.labels)


def shuffle_pixels(images: Images, seed: int = 0) -> Images:
    """The pixels of each image in a shuffled order, which is the same for all images and channels."""
    n, channels, height, width = images.pixels.shape
    order = torch.randperm(height * width, generator=seeded(seed))
    return Images(images.pixels.flatten(2)[:, :, order].view(n, channels, height, width), images.labels)


def grey(images: Images) -> Images:
    """RGB images [N, 3, H, W] as [N, 1, H, W], their brightness (luma of ITU-R BT.601); grey ones stay."""
    weights = torch.tensor([0.299, 0.587, 0.114]).view(3, 1, 1)
    pixels = [(part * weights).sum(1, keepdim=True).round().byte() for part in images.pixels.split(PART)]
    return Images(torch.cat(pixels), images.labels)


def resize(images: Images, side: int = 28) -> Images:
    """The images with this height and width, by default MNIST's, see `shrink`."""
    pixels = [shrink(part.float(), side).round().byte() for part in images.pixels.split(PART)]
    return Images(torch.cat(pixels), images.labels)


def shift_randomly(images: Images, reach: int = 6, seed: int = 0) -> Images:
    """Each image moved by a draw of its own, up to `reach` pixels each way; black comes in."""
    generator = seeded(seed)
    return Images(augment(images.pixels, draw_shifts(len(images), reach, generator)), images.labels)


def scale_randomly(images: Images, smallest: float = 0.5, seed: int = 0) -> Images:
    """Each image shrunk to a size of its own and put in the middle of a black one of the old size.

    Args:
        smallest: the least side, as a share of the old one; all whole sides from there on are equally likely.

    Raises:
        CourseError: the images are not square, or the share is not above 0 and at most 1.
    """
    generator = seeded(seed)
    height, side = images.pixels.shape[2:]
    if height != side:
        raise CourseError(f"Only square images can be scaled, not {height}×{side}: make them square first.")
    if not 0 < smallest <= 1:
        raise CourseError(f"smallest is a share above 0 and at most 1, not {smallest}.")
    sides = torch.randint(max(1, round(smallest * side)), side + 1, (len(images),), generator=generator)
    pixels = torch.zeros_like(images.pixels)
    for size in sides.unique().tolist():
        chosen, start = sides == size, (side - size) // 2
        small = shrink(images.pixels[chosen].float(), size).round().byte()
        pixels[chosen, :, start : start + size, start : start + size] = small
    return Images(pixels, images.labels)


def shuffle_labels(images: Images, seed: int = 0) -> Images:
    """The images with their labels dealt out anew, so that nothing in an image tells its label.

    Source: Zhang et al. (2017), section 2.1.
    """
    order = torch.randperm(len(images), generator=seeded(seed))
    return Images(images.pixels, images.labels[order.to(images.labels.device)])


def colour_noise(images: Images, seed: int = 0) -> Images:
    """Images [N, 1, H, W] as RGB: the ink in a random colour per image, the paper coloured noise.

    In RGB images each channel is ink of its own.
    """
    generator = seeded(seed)
    parts = []
    for part in images.pixels.split(PART):
        n, _, height, width = part.shape
        ink = part / 255
        colour = torch.rand(n, 3, 1, 1, generator=generator)
        noise = torch.rand(n, 3, height, width, generator=generator)
        parts.append((255 * (ink * colour + (1 - ink) * noise)).round().byte())
    return Images(torch.cat(parts), images.labels)


VARIANTS: dict[str, Callable[[Images], Images]] = {
    "shuffled": shuffle_pixels,
    "grey": grey,
    "28x28": resize,
    "grey-28x28": lambda images: resize(grey(images)),
    "moved": shift_randomly,
    "scaled": scale_randomly,
    "random-labels": shuffle_labels,
    "noise": colour_noise,
    "moved-noise": lambda images: colour_noise(shift_randomly(images)),
}
OTHER_LABELS = {"random-labels"}  # the variants whose images have other labels than the data set's
