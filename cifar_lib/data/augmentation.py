"""How images are changed for training: shifted, mirrored, cropped or shrunk, all drawn from a seed."""

import operator
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from .. import CourseError
from .images import check_form

Border = Literal["black", "mirror"]


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
            from the middle, or as far as the image reaches if that is further. Where image and window differ
            by an odd number of pixels, no window reaches the last row and column. None keeps the whole image.
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
            CourseError: the shift or the window is larger than the images, or a number is too small.
        """
        smallest = min(shape[1:])
        for name, number, least in (
            ("shift", self.shift, 0),
            ("window", self.window, 1),
            ("side", self.side, 1),
        ):
            if number is not None and number < least:
                raise CourseError(f"{name} is a whole number of at least {least}, not {number}.")
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
        moves up to 3 and takes in one row or column of the border. A window of 27 moves 2 pixels, too: its
        middle place is half a pixel above and left of the image's.
        """
        return self.shift if self.window is None else max(self.shift, (side - self.window) // 2)


def seeded(seed: int) -> torch.Generator:
    """A generator of random numbers on the CPU. PyTorch's own method refuses the whole numbers of numpy."""
    return torch.Generator().manual_seed(operator.index(seed))


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
    """Shift each image by its own draw, and mirror some.

    Args:
        pixels: uint8 [N, C, H, W].
        shifts: int64 [2, N] on the images' device, see `draw_shifts`; None moves no image.
        mirrored: bool [N] on the images' device, which images to mirror; None mirrors none.
        border: what comes in where an image moves away: "black", or the "mirror" image of its border.
        side: H and W of the result, cut from the middle before the shift, at most those of the images; None
            keeps all of it.

    Returns:
        uint8 [N, C, H, W], or [N, C, side, side] with `side`.

    Raises:
        CourseError: there is no such border, the images are smaller than `side`, or the pixels or the shifts
            are of another shape.
    """
    check_form(pixels)
    if border not in get_args(Border):
        raise CourseError(f"border is one of {', '.join(get_args(Border))}, not {border!r}.")
    n, _, height, width = pixels.shape
    if side is not None and not 1 <= side <= min(height, width):
        raise CourseError(f"No {side}×{side} pixels can be cut from images of {height}×{width}: change side.")
    if shifts is not None and shifts.shape != (2, n):
        raise CourseError(
            f"Shifts are int64 [2, {n}], down and right of each of {n} images, not {[*shifts.shape]}: see "
            f"data.draw_shifts."
        )
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
