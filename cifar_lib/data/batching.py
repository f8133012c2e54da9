"""Images on the device -> shuffled, augmented, normalised batches."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import CourseError
from .images import Images

VALIDATION_SHARE = 0.1

Border = Literal["black", "mirror"]


def split(images: Images) -> tuple[Images, Images]:
    """Training images -> (training, validation): the fixed, stratified 90 % / 10 %.

    The validation images are the first tenth of each class in the stored order. Because that order
    follows from the content alone, they are the same images for everyone.
    """
    mask = torch.zeros(len(images), dtype=torch.bool)
    for label in images.labels.unique():
        members = (images.labels == label).nonzero().flatten()
        mask[members[: round(len(members) * VALIDATION_SHARE)]] = True
    return images[~mask], images[mask]


def normalize(pixels: Tensor) -> Tensor:
    """uint8 pixels 0..255 -> float32 from -2 to 2: (x / 255 - 0.5) / 0.25.

    The constants serve every data set here (CIFAR-10's own channel means are 0.49, 0.48, 0.45,
    its standard deviations 0.25, 0.24, 0.26), so a network needs no statistics beside its weights.
    """
    return (pixels.float() / 255 - 0.5) / 0.25


def shrink(pixels: Tensor, side: int) -> Tensor:
    """Float images [N, C, H, W] -> [N, C, side, side], bilinear with antialiasing.

    Without antialiasing each new pixel would be interpolated from its four nearest neighbours and
    leave out the others, so fine stripes would turn into coarse ones.
    """
    return F.interpolate(pixels, size=side, mode="bilinear", antialias=True, align_corners=False)


@dataclass(frozen=True)
class Augmentation:
    """How `batches` changes the images of an epoch.

    Args:
        flip: mirror each image left to right in every second epoch. Which epoch it starts in is
            random, so any two consecutive epochs show each image both ways, which a coin toss per
            epoch would not guarantee (Jordan 2024, section 3.6).
        shift: the most pixels by which an image is shifted each way.
        border: what comes in where an image moves away, see `augment`.
        window: height and width of a window that is cut out at a random place: up to `shift` pixels
            from the middle, or anywhere in the image if that is further. None keeps the whole image.
        side: shrink the images to this height and width, see `shrink`; None keeps their own.
    """

    flip: bool = False
    shift: int = 0
    border: Border = "black"
    window: int | None = None
    side: int | None = None

    def check(self, shape: tuple[int, int, int]) -> None:
        """Make sure that images of this shape (channels, height, width) can be augmented in this way.

        Raises:
            CourseError: the shift or the window is larger than the images.
        """
        smallest = min(shape[1:])
        if self.shift > smallest:
            raise CourseError(
                f"A shift of up to {self.shift} pixels is more than the images' {smallest}: lower `shift`."
            )
        if self.window is not None and self.window > smallest:
            raise CourseError(
                f"A window of {self.window} pixels does not fit into images of {smallest}: lower `sides`."
            )

    def reach(self, side: int) -> int:
        """The most pixels by which the view of an image of this side moves from the middle.

        A window of 28 in an image of 32 can move 2 pixels without leaving it. With a `shift` of 3 it
        moves up to 3 and takes in one row or column of the border.
        """
        return self.shift if self.window is None else max(self.shift, (side - self.window) // 2)


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of one epoch's random draws, different for each pair of `seed` and `epoch`.

    The factor is larger than the number of epochs that anyone trains, so no epoch of one seed shares
    its draws with an epoch of another, as it would if the two numbers were merely added.
    """
    return seed * 1_000_003 + epoch


def batches(
    images: Images,
    size: int,
    *,
    seed: int,
    epoch: int,
    augmentation: Augmentation = Augmentation(),
    shard: slice = slice(None),
) -> Iterator[tuple[Tensor, Tensor]]:
    """One epoch of shuffled (inputs, labels): float32 [B, C, H, W] channels-last, int64 [B].

    Order and augmentation depend on `seed` and `epoch` alone, so a training that was stopped continues
    with the very same batches. The last, incomplete batch is left out.

    Args:
        images: uint8 images, already on the device that trains.
        size: images per batch.
        epoch: number of the epoch, from 1.
        shard: yield only this slice of each batch; the draws are those of the whole batch.
    """
    # Drawn for the whole epoch and sent at once, so that no step waits for the CPU.
    steps, device = len(images) // size, images.labels.device
    generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
    order = torch.randperm(len(images), generator=generator)[: steps * size].view(steps, size)[:, shard]
    flip, window, side = augmentation.flip, augmentation.window, augmentation.side
    reach = augmentation.reach(images.pixels.shape[-1])
    shifts: Iterable[Tensor | None] = [None] * steps
    mirrored: Iterable[Tensor | None] = [None] * steps
    if reach:
        shifts = draw_shifts(size, reach, generator, steps)[..., shard].to(device, non_blocking=True)
    if flip:
        # From the seed alone, so that the draw is the same in each epoch and its parity decides.
        draws = torch.Generator().manual_seed(seed)
        turned = (torch.rand(len(images), generator=draws) < 0.5) ^ bool(epoch % 2)
        mirrored = turned[order].to(device, non_blocking=True)
    order = order.to(device, non_blocking=True)
    for index, offset, mirror in zip(order, shifts, mirrored, strict=True):
        batch = images[index]
        pixels = batch.pixels
        if flip or reach or window:
            pixels = augment(pixels, offset, mirrored=mirror, border=augmentation.border, side=window)
        inputs = normalize(pixels).contiguous(memory_format=torch.channels_last)
        if side not in (None, inputs.shape[-1]):
            inputs = shrink(inputs, side)
        yield inputs, batch.labels


def draw_shifts(n: int, reach: int, generator: torch.Generator, *batches: int) -> Tensor:
    """How far the view of each of n images moves down and right: int64 [2, n], from -reach to reach.

    With a number of batches, int64 [batches, 2, n]: the same draws that as many calls would give.
    """
    return torch.randint(0, 2 * reach + 1, (*batches, 2, n), generator=generator) - reach


def augment(
    pixels: Tensor,
    shifts: Tensor | None = None,
    *,
    mirrored: Tensor | None = None,
    border: Border = "black",
    side: int | None = None,
) -> Tensor:
    """Shift each image by its own draw, and mirror some; uint8 [N, C, H, W] -> uint8 [N, C, H, W].

    Args:
        shifts: int64 [2, N] on the images' device, see `draw_shifts`; None moves no image.
        mirrored: bool [N] on the images' device, which images to mirror; None mirrors none.
        border: what comes in where an image moves away: "black", or the "mirror" image of its border.
        side: height and width of the result, cut from the middle before the shift; None keeps all of it.
    """
    n, _, height, width = pixels.shape
    device = pixels.device
    rows = torch.arange(height, device=device).expand(n, -1)
    columns = torch.arange(width, device=device).expand(n, -1)
    if mirrored is not None:
        columns = torch.where(mirrored[:, None], columns.flip(1), columns)
    if side is not None:
        rows = rows[:, (height - side) // 2 :][:, :side]
        columns = columns[:, (width - side) // 2 :][:, :side]
    if shifts is not None:
        down, right = shifts[:, :, None]
        rows, columns = rows + down, columns + right
        if border == "mirror":
            rows, columns = _reflected(rows, height), _reflected(columns, width)
        else:  # one black pixel at each side stands for all beyond it, however far a shift goes
            pixels = F.pad(pixels, (1,) * 4)
            rows, columns = (rows + 1).clamp(0, height + 1), (columns + 1).clamp(0, width + 1)
    image = torch.arange(n, device=device)[:, None, None]
    rows, columns = rows[:, :, None], columns[:, None, :]
    return pixels.permute(0, 2, 3, 1)[image, rows, columns].permute(0, 3, 1, 2)


def _reflected(places: Tensor, length: int) -> Tensor:
    """Places beyond either end counted back from there: -1 becomes 1, and `length` becomes `length` - 2."""
    period = max(1, 2 * (length - 1))
    places = places % period
    return torch.minimum(places, period - places)
