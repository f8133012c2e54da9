"""LeNet-5 and the beginners' network."""

import pytest
import torch
from by_hand import conv, kinds, linear

from cifar_lib.models import MODELS, BeginnerNet, LeNet5, count_parameters


@pytest.mark.parametrize("network", [LeNet5, BeginnerNet])
@pytest.mark.parametrize(("shape", "last"), [((3, 32, 32), 5), ((1, 28, 28), 4)])
def test_shape_and_parameters(network, shape, last):
    """Two 5×5 convolutions without a border, two poolings: 32 -> 28 -> 14 -> 10 -> 5, 28 -> ... -> 4."""
    model = network(shape, classes=7)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)
    convolutions = conv(shape[0], 6, 5) + conv(6, 16, 5)
    assert count_parameters(model) == convolutions + linear(16 * last**2, 120) + linear(120, 84) + linear(
        84, 7
    )


@pytest.mark.parametrize(
    ("name", "activation", "pool"), [("lenet-5", "Tanh", "AvgPool2d"), ("beginner", "ReLU", "MaxPool2d")]
)
def test_layers_in_order(name, activation, pool):
    """By their names, because the numbers of parameters would not tell which of the two it is."""
    convolution, linear = ["Conv2d", activation, pool], ["Linear", activation]
    assert kinds(MODELS[name]().layers) == [*convolution * 2, "Flatten", *linear * 2, "Linear"]


def test_the_beginners_network_has_the_size_that_the_tutorial_gives():
    assert count_parameters(BeginnerNet()) == 62_006
