"""A 3×3 convolution by a fifth of the multiplications, for `fast`.

Eight neighbouring outputs of a filter with three taps are 24 products. Ten are enough: the outputs are
the coefficients of a product of two polynomials, and such a product is known from its values at ten
points. So pixels and filters are changed into values at points, multiplied there, and changed back; an
image needs 100 products for 64 outputs instead of 576. Changing has a cost of its own, which is small
where there are many channels. The result is that of a convolution, but for rounding.

Source: Winograd (1980); Lavin and Gray (2016), "Fast Algorithms for Convolutional Neural Networks".
"""

from functools import lru_cache
from typing import NamedTuple

import torch

LONGEST = 8  # outputs of a tile: with ten, the rounding is more than ten times as large (measured)
SPREAD = 2.0  # a point is so many times the one before it; from 1.6 to 2.3 the rounding is least (measured)


class Bases(NamedTuple):
    """What changes pixels into values at points, filters into such values, and values into outputs."""

    inwards: torch.Tensor
    filters: torch.Tensor
    outwards: torch.Tensor


def convolve(x, weight):
    """A convolution of stride 1 with a border of zeros: `F.conv2d(x, weight, padding=1)`.

    Args:
        x: float32 [N, C, H, W], quickest in channels-last order.
        weight: float32 [O, C, 3, 3].

    Returns:
        float32 [N, O, H, W] in channels-last order; about 1e-5 of it is rounding.
    """
    down, across = (bases(side, x.device) for side in x.shape[2:])
    pixels = change(x.permute(0, 2, 3, 1), down.inwards, across.inwards)
    filters = change(weight.permute(1, 2, 3, 0), down.filters, across.filters)
    sums = pixels.flatten(1, 2).transpose(0, 1) @ filters.flatten(1, 2).transpose(0, 1)
    outputs = sums.transpose(0, 1).unflatten(1, pixels.shape[1:3])
    return change(outputs, down.outwards, across.outwards).permute(0, 3, 1, 2)


def change(images, down, across):
    """Both sides of images [N, H, W, C] changed by matrices [P, H] and [Q, W]: [N, P, Q, C]."""
    rows = _times(down, images.flatten(2)).unflatten(2, images.shape[2:])
    return _times(across, rows.flatten(0, 1)).unflatten(0, rows.shape[:2])


def _times(matrix, batch):
    return matrix.expand(len(batch), -1, -1) @ batch


@lru_cache
def bases(side, device="cpu"):
    """`tile`'s three matrices for a whole side, which is cut into tiles of equal length.

    Returns:
        float32: inwards [P, side], filters [P, 3], outwards [side, P]; P is side + 2 a tile or a little more.
    """
    tiles = -(-side // LONGEST)
    length = -(-side // tiles)
    inwards, filters, outwards = tile(length)
    points = length + 2
    seen = torch.zeros(tiles * points, tiles * length + 2, dtype=torch.float64)  # a frame of one pixel
    for index in range(tiles):
        seen[index * points :, index * length :][:points, :points] = inwards
    whole = Bases(
        inwards=seen[:, 1 : side + 1],
        filters=filters.repeat(tiles, 1),
        outwards=torch.block_diag(*[outwards] * tiles)[:side],
    )
    return Bases(*(matrix.float().contiguous().to(device) for matrix in whole))


def tile(length):
    """The matrices that change `length` + 2 inputs and three taps into values, and values into outputs.

    A product of polynomials p is known from its values at points: V p, with a power in each column of
    V. The highest power alone stands for a point at infinity. Outputs of a convolution as networks
    have it are that product turned round: Vᵀ in the place of V⁻¹, and (V⁻¹)ᵀ in the place of V.

    Returns:
        `Bases` in float64, inwards [points, points], filters [points, 3], outwards [length, points].
    """
    points = length + 2
    inwards = powers(points, points).inverse().T
    filters, outwards = powers(points, 3), powers(points, length).T
    sizes = [inwards.norm(dim=1), filters.norm(dim=1), outwards.norm(dim=0)]
    even = (sizes[0] * sizes[1] * sizes[2]) ** (1 / 3)  # a factor may stand in any of the three
    into, taps, out = (even / size for size in sizes)
    return Bases(inwards * into[:, None], filters * taps[:, None], outwards * out)


def powers(points, count):
    """The powers 0 to `count` - 1 of each point, float64 [points, count]: 0 or not, ± pairs, infinity."""
    pairs = (points - 1) // 2
    sizes = SPREAD ** (torch.arange(pairs, dtype=torch.float64) - (pairs - 1) / 2)
    zero = sizes.new_zeros((points - 1) % 2)
    finite = torch.cat([zero, sizes, -sizes])[:, None] ** torch.arange(count)
    return torch.cat([finite, torch.eye(count, dtype=torch.float64)[-1:]])
