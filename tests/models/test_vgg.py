"""VGG."""

import pytest
import torch
from by_hand import conv, kinds, linear

from cifar_lib.models import VGG, count_parameters


@pytest.mark.parametrize(("shape", "last"), [((3, 32, 32), 4), ((1, 28, 28), 3)])
def test_shape_and_parameters(shape, last):
    """Pooling 2×2 rounds down: 32 -> 16 -> 8 -> 4, and 28 -> 14 -> 7 -> 3."""
    model = VGG(shape, classes=7)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)
    convolutions = (
        conv(shape[0], 16) + conv(16, 16) + conv(16, 32) + conv(32, 32) + conv(32, 64) + conv(64, 64)
    )
    assert count_parameters(model) == convolutions + linear(64 * last**2, 128) + linear(128, 7)


def test_layers_in_order():
    """A ReLU after each convolution of a pair, and pooling after the pair."""
    assert kinds(VGG().features) == ["Conv2d", "ReLU", "Conv2d", "ReLU", "MaxPool2d"] * 3
    assert kinds(VGG().classifier) == ["Flatten", "Linear", "ReLU", "Linear"]
