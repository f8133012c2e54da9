"""Ways to convolve, against PyTorch's own."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from cifar_lib.models import kernels

LAYOUTS = [torch.channels_last, torch.contiguous_format]
MOSAICS = ["mosaic", "mosaic gradient"]  # Winograd's way has tests of its own
MANY = [
    (37, 6, 5, 7, 7),
    (10, 3, 4, 3, 5),
    (40, 16, 8, 2, 2),
    (3, 5, 7, 6, 4),
    (1, 1, 1, 2, 1),
    (2, 4, 3, 1, 1),
]


@pytest.mark.parametrize("shape", MANY)
@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("way", MOSAICS)
def test_each_way_gives_the_outputs_and_gradients_of_a_convolution(shape, layout, way):
    images, inputs, outputs, height, width = shape
    torch.manual_seed(0)
    x = torch.randn(images, inputs, height, width).contiguous(memory_format=layout).requires_grad_()
    weight = torch.randn(outputs, inputs, 3, 3, requires_grad=True)
    gradient = torch.randn(images, outputs, height, width)
    found, usual = (
        (made := forward(x, weight), *torch.autograd.grad(made, (x, weight), gradient))
        for forward in (kernels.WAYS[way], partial(F.conv2d, padding=1))
    )
    torch.testing.assert_close(found, usual, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("way", MOSAICS)
@pytest.mark.parametrize("side", [2, 4, 7])
def test_in_bfloat16_the_error_is_that_of_bfloat16(side, way):
    torch.manual_seed(0)
    x, gradient = torch.randn(2, 40, 24, side, side).bfloat16()
    x, weight = x.requires_grad_(), torch.randn(24, 24, 3, 3).bfloat16().requires_grad_()
    made = kernels.WAYS[way](x, weight)
    found = made, *torch.autograd.grad(made, (x, weight), gradient)
    exact, filters = x.detach().float().requires_grad_(), weight.detach().float().requires_grad_()
    made = F.conv2d(exact, filters, padding=1)
    usual = made, *torch.autograd.grad(made, (exact, filters), gradient.float())
    for one, other in zip(found, usual, strict=True):
        assert one.dtype == torch.bfloat16 and one.shape == other.shape
        assert (one.float() - other).norm() < 4e-3 * other.norm()


@pytest.mark.parametrize("way", MOSAICS)
def test_under_autocast_outputs_are_rounded_but_gradients_have_the_weights_dtype(way):
    x, weight = torch.randn(40, 8, 3, 3, requires_grad=True), torch.randn(4, 8, 3, 3, requires_grad=True)
    with torch.autocast("cpu", torch.bfloat16):
        outputs = kernels.WAYS[way](x, weight)
    outputs.sum().backward()
    assert outputs.dtype == torch.bfloat16
    assert x.grad.dtype == weight.grad.dtype == torch.float32
