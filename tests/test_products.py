"""The convolutions of small images by products of matrices, against the usual one."""

from functools import partial

import pytest
import torch
import torch.nn.functional as F

from cifar_lib import fast, products

SHAPES = [(3, 5, 7, 6, 4), (2, 4, 3, 1, 1), (2, 4, 3, 3, 8), (1, 1, 1, 2, 1), (2, 6, 5, 7, 7)]


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
@pytest.mark.parametrize("cache", [products.CACHE, 300])
@pytest.mark.parametrize("way", [products.Unfolded, products.Divided])
def test_outputs_and_gradients_are_those_of_a_convolution(shape, layout, cache, way, monkeypatch):
    monkeypatch.setattr(products, "CACHE", cache)  # 300 bytes: one part, two, three
    images, inputs, outputs, height, width = shape
    torch.manual_seed(0)
    x = torch.randn(images, inputs, height, width).contiguous(memory_format=layout).requires_grad_()
    weight = torch.randn(outputs, inputs, 3, 3, requires_grad=True)
    gradient = torch.randn(images, outputs, height, width)
    found, usual = (
        (made := forward(x, weight), *torch.autograd.grad(made, (x, weight), gradient))
        for forward in (way.apply, partial(F.conv2d, padding=1))
    )
    torch.testing.assert_close(found, usual)


@pytest.mark.parametrize("side", [2, 4, 5, 8, (3, 7)])
def test_in_bfloat16_the_error_is_that_of_bfloat16(side):
    height, width = side if isinstance(side, tuple) else (side, side)
    torch.manual_seed(0)
    x, gradient = torch.randn(2, 8, 24, height, width).bfloat16().contiguous()
    x, weight = x.requires_grad_(), torch.randn(24, 24, 3, 3).bfloat16().requires_grad_()
    made = products.convolve(x, weight)
    found = made, *torch.autograd.grad(made, (x, weight), gradient)
    exact, filters = x.detach().float().requires_grad_(), weight.detach().float().requires_grad_()
    made = F.conv2d(exact, filters, padding=1)
    usual = made, *torch.autograd.grad(made, (exact, filters), gradient.float())
    for one, other in zip(found, usual, strict=True):
        assert one.dtype == torch.bfloat16 and one.shape == other.shape
        assert (one.float() - other).norm() < 4e-3 * other.norm()


@pytest.mark.parametrize(("channels", "shares"), [(256, 1), (341, 1), (342, 2), (384, 2), (512, 3)])
def test_filters_are_divided_only_where_they_overfill_the_cache(channels, shares):
    assert products.shares(torch.empty(channels, channels, 3, 3, dtype=torch.bfloat16)) == shares


def test_outputs_are_in_channels_last_order():
    for side in (4, 7):
        x = torch.randn(2, 4, side, side).to(memory_format=torch.channels_last)
        outputs = products.convolve(x, torch.randn(5, 4, 3, 3))
        assert outputs.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("largest", "side", "name"),
    [
        (8, 4, "Unfolded"),
        (8, 5, "Divided"),
        (8, 8, "Divided"),
        (8, 9, None),
        (4, 4, "Unfolded"),
        (4, 5, None),
    ],
)
def test_they_are_taken_in_bfloat16_for_small_images_in_training_alone(largest, side, name, monkeypatch):
    monkeypatch.setattr(products, "LARGEST_SIDE", largest)
    convolution, x = fast.Convolution(2, 2), torch.randn(1, 2, side, side)
    with torch.autocast("cpu", torch.bfloat16):
        taken = type(convolution(x).grad_fn).__name__
        assert taken == (f"{name}Backward" if name else "ConvolutionBackward0")
        assert type(convolution.eval()(x).grad_fn).__name__ == "ConvolutionBackward0"
    assert type(convolution.train()(x).grad_fn).__name__ == "ConvolutionBackward0"
