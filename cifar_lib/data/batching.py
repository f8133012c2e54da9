"""Images on the device -> shuffled, augmented, normalised batches."""

from collections.abc import Iterable, Iterator

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import CourseError
from .augmentation import Augmentation, augment, draw_shifts, seeded
from .images import Images

VALIDATION_SHARE = 0.1
AS_THEY_ARE = Augmentation()


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

    Raises:
        CourseError: the pixels are floats, which have been scaled already.
    """
    if pixels.is_floating_point():
        raise CourseError(
            f"The pixels are {str(pixels.dtype).removeprefix('torch.')}, so they have been scaled already: "
            f"give whole numbers from 0 to 255 (uint8), or leave this step out."
        )
    return (pixels.float() / 255 - 0.5) / 0.25


def shrink(pixels: Tensor, side: int) -> Tensor:
    """Float images [N, C, H, W] -> [N, C, side, side], bilinear with antialiasing.

    Without antialiasing each new pixel would be interpolated from its four nearest neighbours and
    leave out the others, so fine stripes would turn into coarse ones.
    """
    return F.interpolate(pixels, size=side, mode="bilinear", antialias=True, align_corners=False)


def epoch_seed(seed: int, epoch: int) -> int:
    """The seed of one epoch's random draws, different for each pair of `seed` and `epoch`.

    The factor is larger than the number of epochs that anyone trains, so no epoch of one seed shares
    its draws with an epoch of another, as it would if the two numbers were merely added.
    """
    return int(seed) * 1_000_003 + int(epoch)  # numpy's 32 bits would overflow


def batches(
    images: Images,
    size: int,
    *,
    seed: int,
    epoch: int,
    augmentation: Augmentation = AS_THEY_ARE,
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

    Raises:
        CourseError: the size is below 1, or the images cannot be augmented in this way.
    """
    if size < 1:
        raise CourseError(f"A batch has at least one image, not {size}.")
    augmentation.check((images.pixels.shape[1], *images.pixels.shape[2:]))
    # Drawn for the whole epoch and sent at once, so that no step waits for the CPU.
    steps, device = len(images) // size, images.labels.device
    generator = seeded(epoch_seed(seed, epoch))
    order = torch.randperm(len(images), generator=generator)[: steps * size].view(steps, size)[:, shard]
    flip, window, side = augmentation.flip, augmentation.window, augmentation.side
    reach = augmentation.reach(images.pixels.shape[-1])
    shifts: Iterable[Tensor | None] = [None] * steps
    mirrored: Iterable[Tensor | None] = [None] * steps
    if reach:
        shifts = draw_shifts(size, reach, generator, steps)[..., shard].to(device, non_blocking=True)
    if flip:
        # From the seed alone, so that the draw is the same in each epoch and its parity decides.
        draws = seeded(seed)
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
