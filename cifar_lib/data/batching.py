"""Images on the device -> shuffled, augmented, normalised batches."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import CourseError
from .images import Images

VALIDATION_SHARE = 0.1


def split(images):
    """Training images -> (training, validation): the fixed, stratified 90 % / 10 %.

    Validation is the first tenth of each class in the stored order, which is an order by content:
    the same images for everyone.
    """
    mask = torch.zeros(len(images), dtype=torch.bool)
    for label in images.labels.unique():
        members = (images.labels == label).nonzero().flatten()
        mask[members[: round(len(members) * VALIDATION_SHARE)]] = True
    return images[~mask], images[mask]


def normalize(pixels):
    """uint8 pixels of 0..255 -> float32 of about -2..2: (x / 255 - 0.5) / 0.25.

    The constants serve every data set here (CIFAR-10's own channel means are 0.49, 0.48, 0.45,
    its deviations 0.25, 0.24, 0.26), so a network needs no statistics beside its weights.
    """
    return (pixels.float() / 255 - 0.5) / 0.25


@dataclass(frozen=True)
class Augmentation:
    """How `batches` changes the images of an epoch.

    Args:
        flip: mirror each image left to right in every second epoch; chance decides in which it
            begins. So two epochs show each image both ways, which a coin per epoch would not
            (Jordan 2024, section 3.6).
        shift: the most pixels by which an image is shifted each way.
        border: what comes in where an image moves away, see `augment`.
        window: crop a window of this height and width at a random place, at least `shift` pixels
            about the middle; None for the whole image.
        side: shrink the images to this height and width, by averaging; None for their own.
    """

    flip: bool = False
    shift: int = 0
    border: str = "black"
    window: int | None = None
    side: int | None = None

    def check(self, shape: tuple[int, int, int]) -> None:
        """Make sure that images of this shape can be augmented so.

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
        """The most pixels by which a view of images of this side moves from the middle."""
        # Without a shift of its own, a window may lie anywhere in the image.
        return self.shift if self.window is None else max(self.shift, (side - self.window) // 2)


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of the draws of one epoch: one number for each pair, since fewer epochs are ever trained."""
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

    Order and augmentation depend on `seed` and `epoch` alone, so a training that stopped goes
    on with the very same batches. The last, incomplete batch is left out.

    Args:
        images: uint8 images, already on the device that trains.
        shard: give only this slice of each batch; the draws are those of the whole batch.
    """
    # Drawn for the whole epoch and sent at once: no step waits for the CPU.
    steps, device = len(images) // size, images.labels.device
    generator = torch.Generator().manual_seed(epoch_seed(seed, epoch))
    order = torch.randperm(len(images), generator=generator)[: steps * size].view(steps, size)[:, shard]
    flip, window, side = augmentation.flip, augmentation.window, augmentation.side
    reach = augmentation.reach(images.pixels.shape[-1])
    shifts = mirrored = [None] * steps
    if reach:
        shifts = draw_shifts(size, reach, generator, steps)[..., shard].to(device, non_blocking=True)
    if flip:
        draws = torch.Generator().manual_seed(seed)  # of the seed alone: the same image in every epoch
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
            inputs = F.interpolate(inputs, size=side, mode="bilinear", antialias=True, align_corners=False)
        yield inputs, batch.labels


def draw_shifts(n, reach, generator, *batches):
    """How far the view of each of n images moves down and right: int64 [2, n], from -reach to reach.

    With a number of batches int64 [batches, 2, n], the draws that as many calls would give in turn.
    """
    return torch.randint(0, 2 * reach + 1, (*batches, 2, n), generator=generator) - reach


def augment(pixels, shifts=None, *, mirrored=None, border="black", side=None):
    """Shift each image by its own draw, and mirror some; uint8 [N, C, H, W] in and out.

    Args:
        shifts: int64 [2, N] on the images' device, see `draw_shifts`. None moves no image.
        mirrored: bool [N] on the images' device, the images to mirror; None for no image.
        border: what comes in where an image moves away: "black", or the "mirror" image of its border.
        side: height and width of what comes out, from the middle before the shift; None for all of it.
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


def _reflected(places, length):
    """Places beyond either end counted back from there: -1 is 1, and `length` is `length` - 2."""
    period = max(1, 2 * (length - 1))
    places = places % period
    return torch.minimum(places, period - places)
