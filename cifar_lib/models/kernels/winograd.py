"""Winograd's 3×3 convolution, which takes a fifth of the multiplications.

Eight neighbouring outputs of a filter with three taps take 24 products. Ten are enough, because the product
of a polynomial of eight coefficients and one of three is determined by its values at ten points, and the
same scheme transposed gives eight outputs. So pixels and filters are transformed, multiplied number by
number, and transformed back; in two dimensions 64 outputs take 100 products instead of 576. The transforms
have a cost of their own, which is small where there are many channels. The result is that of a convolution
up to rounding.

Source: Winograd (1980); Lavin and Gray (2016), "Fast Algorithms for Convolutional Neural Networks".
"""

from functools import lru_cache
from typing import NamedTuple

import torch
from torch import Tensor

LONGEST = 8  # outputs of a tile: with ten, the rounding error is more than ten times as large (measured)
SPREAD = 2.0  # ratio of a point to the one before it; from 1.6 to 2.3 the rounding error is least (measured)


class Bases(NamedTuple):
    """The transforms of pixels and of filters into values at points, and of values into outputs."""

    inwards: Tensor
    filters: Tensor
    outwards: Tensor


def convolve(x: Tensor, weight: Tensor) -> Tensor:
    """A convolution of stride 1 with a border of zeros: `F.conv2d(x, weight, padding=1)`.

    Args:
        x: float32 [N, C, H, W], quickest in channels-last order.
        weight: float32 [O, C, 3, 3].

    Returns:
        float32 [N, O, H, W] in channels-last order; its rounding error is about 1e-5 of it.
    """
    down, across = (bases(side) for side in x.shape[2:])
    pixels = _transform(x.permute(0, 2, 3, 1), down.inwards, across.inwards)
    filters = _transform(weight.permute(1, 2, 3, 0), down.filters, across.filters)
    sums = pixels.flatten(1, 2).transpose(0, 1) @ filters.flatten(1, 2).transpose(0, 1)
    outputs = sums.transpose(0, 1).unflatten(1, pixels.shape[1:3])
    return _transform(outputs, down.outwards, across.outwards).permute(0, 3, 1, 2)


def _transform(images: Tensor, down: Tensor, across: Tensor) -> Tensor:
    """Both sides of images [N, H, W, C] multiplied by matrices [P, H] and [Q, W]: [N, P, Q, C]."""
    rows = _times(down, images.flatten(2)).unflatten(2, images.shape[2:])
    return _times(across, rows.flatten(0, 1)).unflatten(0, rows.shape[:2])


def _times(matrix: Tensor, batch: Tensor) -> Tensor:
    return matrix.expand(len(batch), -1, -1) @ batch


@lru_cache
def bases(side: int) -> Bases:
    """The matrices of `tile` for a whole side of an image, which is cut into tiles of equal length.

    Args:
        side: height or width in pixels.

    Returns:
        float32: inwards [P, side], filters [P, 3], outwards [side, P]; P is at least side + 2 per tile.
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
    return Bases(*(matrix.float().contiguous() for matrix in whole))


def tile(length: int) -> Bases:
    """The transforms of `length` + 2 inputs and three taps into values, and of values into outputs.

    A product p of polynomials is determined by its values at points, V p, where each column of V holds one
    power; the highest power alone stands for a point at infinity. A network's convolution, which is a
    correlation, is the transpose of that product: Vᵀ replaces V⁻¹, and (V⁻¹)ᵀ replaces V.

    Returns:
        `Bases` in float64, inwards [points, points], filters [points, 3], outwards [length, points].
    """
    points = length + 2
    inwards = _powers(points, points).inverse().T
    filters, outwards = _powers(points, 3), _powers(points, length).T
    sizes = [inwards.norm(dim=1), filters.norm(dim=1), outwards.norm(dim=0)]
    # A factor may move from one matrix to another: equal lengths keep the rounding error small.
    even = (sizes[0] * sizes[1] * sizes[2]) ** (1 / 3)
    into, taps, out = (even / size for size in sizes)
    return Bases(inwards * into[:, None], filters * taps[:, None], outwards * out)


def _powers(points: int, count: int) -> Tensor:
    """Powers 0 to `count` - 1 of each point, float64 [points, count].

    The points are pairs ±p and infinity, and 0 where their number is even.
    """
    pairs = (points - 1) // 2
    sizes = SPREAD ** (torch.arange(pairs, dtype=torch.float64) - (pairs - 1) / 2)
    zero = sizes.new_zeros((points - 1) % 2)
    finite = torch.cat([zero, sizes, -sizes])[:, None] ** torch.arange(count)
    return torch.cat([finite, torch.eye(count, dtype=torch.float64)[-1:]])
