"""ResNet and its blocks."""

import pytest
import torch
from by_hand import conv, linear
from torch import nn

from cifar_lib import CourseError
from cifar_lib.models import ResidualBlock, ResNet, count_parameters


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
@pytest.mark.parametrize("blocks", [1, 3])
def test_shape_and_parameters(blocks, shape):
    def normed(before, after, kernel=3):
        return conv(before, after, kernel, bias=False) + 2 * after

    model = ResNet(shape, blocks, classes=7)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)
    total = normed(shape[0], 16) + linear(64, 7) + normed(16, 32, 1) + normed(32, 64, 1)
    for before, after in ((16, 16), (16, 32), (32, 64)):
        total += normed(before, after) + (2 * blocks - 1) * normed(after, after)
    assert count_parameters(model) == total


def test_resnet_20_has_the_published_size():
    """0.27 million parameters in He et al.'s table 6."""
    assert round(count_parameters(ResNet(blocks=3)) / 1e6, 2) == 0.27


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_resnet_has_six_layers_per_block_and_two(blocks):
    counted = [
        name
        for name, module in ResNet(blocks=blocks).named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]
    assert len(counted) == 6 * blocks + 2


def test_the_first_block_of_each_later_size_halves_the_image():
    model, sizes = ResNet(blocks=2), []
    for block in model.blocks:
        block.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[1:])))
    model(torch.zeros(2, 3, 32, 32))
    assert sizes == [(16, 32, 32)] * 2 + [(32, 16, 16)] * 2 + [(64, 8, 8)] * 2


def test_logits_by_hand():
    model, x = ResNet().eval(), torch.randn(2, 3, 32, 32)
    convolution, norm, _ = model.stem
    maps = model.blocks(norm(convolution(x)).relu())
    torch.testing.assert_close(model(x), model.linear(maps.mean((2, 3))))


@pytest.mark.parametrize("training", [True, False])
def test_a_residual_block_that_adds_nothing_is_the_identity(training):
    block = ResidualBlock(6, 6).train(training)
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(4, 6, 8, 8)  # what a ReLU lets through
    assert torch.equal(block(x), x)


@pytest.mark.parametrize(("outputs", "stride"), [(12, 2), (12, 1), (6, 2)])
def test_a_residual_block_that_changes_the_shape_has_a_shortcut(outputs, stride):
    block = ResidualBlock(6, outputs, stride).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.randn(4, 6, 8, 8)
    convolution, norm = block.shortcut
    assert (convolution.kernel_size, convolution.stride) == ((1, 1), (stride, stride))
    assert block(x).shape == (4, outputs, 8 // stride, 8 // stride)
    torch.testing.assert_close(block(x), norm(convolution(x)).relu())


def test_a_residual_block_adds_two_convolutions_to_its_input():
    block, x = ResidualBlock(6, 6), torch.rand(4, 6, 8, 8)
    inner = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
    torch.testing.assert_close(block(x), (inner + x).relu())


def test_there_is_at_least_one_block():
    with pytest.raises(CourseError, match="blocks is a whole number of at least 1, not 0"):
        ResNet(blocks=0)
