"""Winograd's convolution, against the usual one."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from cifar_lib.models.kernels import winograd


@pytest.mark.parametrize("side", [*range(1, 18), 31, (3, 12), (16, 1)])
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_outputs_and_gradients_are_those_of_a_convolution(side, layout):
    height, width = side if isinstance(side, tuple) else (side, side)
    torch.manual_seed(0)
    x = torch.randn(3, 20, height, width).contiguous(memory_format=layout).requires_grad_()
    weight = torch.randn(8, 20, 3, 3, requires_grad=True)
    gradient = torch.randn(3, 8, height, width)
    found, usual = (
        (outputs := forward(x, weight), *torch.autograd.grad(outputs, (x, weight), gradient))
        for forward in (winograd.convolve, partial(F.conv2d, padding=1))
    )
    for one, other in zip(found, usual, strict=True):
        assert one.shape == other.shape
        assert (one - other).norm() < 1e-4 * other.norm()


def test_outputs_are_in_channels_last_order():
    outputs = winograd.convolve(torch.randn(2, 4, 6, 6), torch.randn(5, 4, 3, 3))
    assert outputs.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("length", range(1, winograd.LONGEST + 1))
def test_a_tile_gives_the_outputs_of_three_taps(length):
    torch.manual_seed(0)
    pixels, taps = torch.randn(length + 2).double(), torch.randn(3).double()
    inwards, filters, outwards = winograd.tile(length)
    torch.testing.assert_close(
        outwards @ (filters @ taps * (inwards @ pixels)), pixels.unfold(0, 3, 1) @ taps
    )


@pytest.mark.parametrize(("side", "points"), [(1, 3), (7, 9), (8, 10), (9, 14), (15, 20), (16, 20), (23, 30)])
def test_the_products_are_as_few_as_said(side, points):
    assert winograd.bases(side).inwards.shape == (points, side)
    assert winograd.bases(side).filters.shape == (points, 3)
    assert winograd.bases(side).outwards.shape == (side, points)
