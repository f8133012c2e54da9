"""AlexNet."""

import pytest
import torch
from by_hand import conv, kinds, linear

from cifar_lib.models import AlexNet, count_parameters


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
def test_shape_and_parameters(shape):
    """Pooling 3×3 with stride 2 rounds up: 32 -> 16 -> 8 -> 4, and 28 -> 14 -> 7 -> 4."""
    model = AlexNet(shape, classes=7)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)
    convolutions = conv(shape[0], 24, 5) + conv(24, 48, 5) + conv(48, 64) + conv(64, 64) + conv(64, 48)
    assert count_parameters(model) == convolutions + linear(48 * 4 * 4, 256) + linear(256, 256) + linear(
        256, 7
    )


def test_layers_in_order():
    pooled, plain = ["Conv2d", "ReLU", "MaxPool2d"], ["Conv2d", "ReLU"]
    assert kinds(AlexNet().features) == pooled * 2 + plain * 2 + pooled
    hidden = ["Dropout", "Linear", "ReLU"]
    assert kinds(AlexNet().classifier) == ["Flatten", *hidden * 2, "Linear"]


def test_poolings_overlap():
    pools = [layer for layer in AlexNet().features if type(layer).__name__ == "MaxPool2d"]
    assert all(pool.kernel_size > pool.stride == 2 for pool in pools)


def test_half_of_the_units_drop_out_before_the_first_two_linear_layers():
    assert [layer.p for layer in AlexNet().classifier if type(layer).__name__ == "Dropout"] == [0.5, 0.5]
