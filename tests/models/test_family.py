"""The family tree: sizes counted by hand from each network's layers, and what each idea promises."""

import pytest
import torch
from torch import nn

from cifar_lib import models
from cifar_lib.models import (
    VGG,
    AlexNet,
    BeginnerNet,
    FactorisedInception,
    GoogLeNet,
    Inception,
    LeNet5,
    ResidualBlock,
    ResNet,
)


def conv(inputs, outputs, height=3, width=None, bias=True):
    return outputs * (inputs * height * (width or height) + bias)


def linear(inputs, outputs):
    return outputs * (inputs + 1)


def lenet(channels, side):
    """Two valid 5×5 convolutions and two poolings: 32 -> 28 -> 14 -> 10 -> 5, or 28 -> 24 -> 12 -> 8 -> 4."""
    last = {32: 5, 28: 4}[side]
    convolutions = conv(channels, 6, 5) + conv(6, 16, 5)
    return convolutions + linear(16 * last**2, 120) + linear(120, 84) + linear(84, 10)


def alexnet(channels, side):
    """Pooling 3×3 with stride 2 rounds up: 32 -> 16 -> 8 -> 4, and 28 -> 14 -> 7 -> 4."""
    convolutions = conv(channels, 24, 5) + conv(24, 48, 5) + conv(48, 64) + conv(64, 64) + conv(64, 48)
    return convolutions + linear(48 * 4 * 4, 256) + linear(256, 256) + linear(256, 10)


def vgg(channels, side):
    """Pooling 2×2 rounds down: 32 -> 16 -> 8 -> 4, and 28 -> 14 -> 7 -> 3."""
    last = {32: 4, 28: 3}[side]
    convolutions = conv(channels, 16) + conv(16, 16) + conv(16, 32) + conv(32, 32) + conv(32, 64)
    return convolutions + conv(64, 64) + linear(64 * last**2, 128) + linear(128, 10)


def inception(inputs, one, three, five, pooled):
    total = conv(inputs, one, 1) + conv(inputs, pooled, 1)
    total += conv(inputs, three // 2, 1) + conv(three // 2, three, 3)
    return total + conv(inputs, five // 2, 1) + conv(five // 2, five, 5)


def factorised(inputs, one, three, five, pooled, side=3):
    """Each convolution without a bias, but with a batch norm of two numbers a channel."""

    def normed(before, after, height=1, width=1):
        return conv(before, after, height, width, bias=False) + 2 * after

    def square(before, after):
        return normed(before, after, 3, 3) if side == 3 else apart(before, after)

    def apart(before, after):
        return normed(before, after, 1, side) + normed(after, after, side, 1)

    total = normed(inputs, one) + normed(inputs, pooled)
    total += normed(inputs, three // 2) + square(three // 2, three)
    return total + normed(inputs, five // 2) + square(five // 2, five) + square(five, five)


MODULES = [(24, 16, 24, 8, 8), (56, 24, 40, 16, 16), (96, 32, 64, 16, 16)]


def googlenet(channels, side):
    return conv(channels, 24) + sum(inception(*module) for module in MODULES) + linear(128, 10)


def googlenet_factorised(channels, side):
    first, second, third = MODULES
    modules = factorised(*first) + factorised(*second) + factorised(*third, side=5)
    return conv(channels, 24) + modules + linear(128, 10)


def resnet(channels, side, blocks=1):
    def normed(before, after, kernel=3):
        return conv(before, after, kernel, bias=False) + 2 * after

    total = normed(channels, 16) + linear(64, 10) + normed(16, 32, 1) + normed(32, 64, 1)
    for before, after in ((16, 16), (16, 32), (32, 64)):
        total += normed(before, after) + (2 * blocks - 1) * normed(after, after)
    return total


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
@pytest.mark.parametrize(
    ("network", "counted"),
    [
        (LeNet5, lenet),
        (BeginnerNet, lenet),
        (AlexNet, alexnet),
        (VGG, vgg),
        (GoogLeNet, googlenet),
        (lambda shape: GoogLeNet(shape, factorised=True), googlenet_factorised),
        (ResNet, resnet),
        (lambda shape: ResNet(shape, blocks=3), lambda *shape: resnet(*shape, blocks=3)),
    ],
    ids="lenet beginner alexnet vgg googlenet factorised resnet resnet-20".split(),
)
def test_shape_and_parameters(network, counted, shape):
    model = network(shape)
    assert model(torch.zeros(2, *shape)).shape == (2, 10)
    assert models.count_parameters(model) == counted(*shape[:2])


@pytest.mark.parametrize("widths", [(4, 8), (4, 8, 8, 8)])
def test_vgg_may_have_fewer_or_more_stages(widths):
    assert VGG(widths=widths)(torch.zeros(2, 3, 32, 32)).shape == (2, 10)


def test_sizes_that_were_published():
    """PyTorch's tutorial network has 62,006 parameters; He et al.'s table 6 gives ResNet-20 0.27 million."""
    assert models.count_parameters(BeginnerNet()) == lenet(3, 32) == 62_006
    assert round(models.count_parameters(ResNet(blocks=3)) / 1e6, 2) == 0.27


def test_the_beginners_network_is_lenet_with_relu_and_max_pooling():
    usual = {nn.Tanh: nn.ReLU, nn.AvgPool2d: nn.MaxPool2d}
    layers = [type(layer) for layer in LeNet5().layers]
    assert [usual.get(kind, kind) for kind in layers] == [type(layer) for layer in BeginnerNet().layers]
    assert set(usual) < set(layers)


def test_dropout_makes_alexnet_vary_only_while_it_trains():
    model, x = AlexNet(), torch.randn(4, 3, 32, 32)
    assert not torch.equal(model(x), model(x))
    model.eval()
    assert torch.equal(model(x), model(x))


@pytest.mark.parametrize("blocks", [1, 3])
def test_a_resnet_has_six_layers_a_block_and_two(blocks):
    counted = [
        name
        for name, module in ResNet(blocks=blocks).named_modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and "shortcut" not in name
    ]
    assert len(counted) == 6 * blocks + 2


# Inception modules


def test_flops_of_an_inception_module():
    """Each weight of a convolution is used at each of 16×16 positions; a multiply-add counts as two."""
    weights = 24 * 16 + (24 * 12 + 12 * 24 * 3 * 3) + (24 * 4 + 4 * 8 * 5 * 5) + 24 * 8
    assert models.count_flops(Inception(24, 16, 24, 8, 8), (24, 16, 16)) == 2 * 16 * 16 * weights == 2_228_224


@pytest.mark.parametrize("kind", [Inception, FactorisedInception])
def test_an_inception_module_puts_four_paths_side_by_side(kind):
    module, x = kind(6, 3, 8, 4, 5).eval(), torch.randn(2, 6, 9, 9)
    parts = module(x).split([3, 8, 4, 5], dim=1)
    for part, path in zip(parts, (module.one, module.three, module.five, module.pooled), strict=True):
        assert part.shape[2:] == (9, 9)
        torch.testing.assert_close(part, path(x))


def reach(path, inputs=4):
    """How many rows and columns of the image have a part in the output's centre."""
    for layer in path.modules():
        if isinstance(layer, nn.Conv2d):
            layer.weight.data.fill_(1.0)
    image = torch.ones(1, inputs, 15, 15, requires_grad=True)
    path.eval()(image)[0, 0, 7, 7].backward()
    seen = image.grad[0, 0] != 0
    return seen.any(1).sum().item(), seen.any(0).sum().item()


def test_two_small_filters_see_what_one_large_one_sees():
    assert reach(Inception(4, 2, 4, 4, 2).five) == (5, 5)
    assert reach(FactorisedInception(4, 2, 4, 4, 2).five) == (5, 5)


def test_a_row_and_a_column_see_a_whole_square():
    module = FactorisedInception(4, 2, 4, 4, 2, side=5)
    assert (reach(module.three), reach(module.five)) == ((5, 5), (9, 9))


def filters(model):
    return sum(layer.weight.numel() for layer in model.modules() if isinstance(layer, nn.Conv2d))


@pytest.mark.parametrize("module", MODULES)
def test_taken_apart_true_5x5_filters_weigh_less(module):
    """The module with side 5 has three 5×5 filters taken apart; here they stand whole in their places."""
    inputs, one, three, five, pooled = module
    reductions = inputs * (one + three // 2 + five // 2 + pooled)
    whole = 5 * 5 * (three // 2 * three + five // 2 * five + five * five)
    assert filters(FactorisedInception(*module, side=5)) < reductions + whole


@pytest.mark.parametrize("module", MODULES)
def test_in_the_place_of_one_5x5_filter_two_3x3_weigh_less_only_where_the_channels_stay(module):
    """9 + 9 is less than 25. Here the first filter doubles the channels, so the second is twice as heavy."""
    five = module[3]
    assert 9 * five * five + 9 * five * five < 25 * five * five
    taken_apart, whole = (filters(kind(*module).five) for kind in (FactorisedInception, Inception))
    reduction = module[0] * five // 2
    assert whole - reduction == 25 * five // 2 * five
    assert taken_apart - reduction == 9 * five // 2 * five + 9 * five * five > whole - reduction


# Residual blocks


@pytest.mark.parametrize("training", [True, False])
def test_a_residual_block_that_adds_nothing_is_the_identity(training):
    block = ResidualBlock(6, 6).train(training)
    nn.init.zeros_(block.bn2.weight)
    x = torch.rand(4, 6, 8, 8)  # what a ReLU lets through
    assert torch.equal(block(x), x)


def test_a_residual_block_that_changes_the_size_is_then_its_shortcut():
    block = ResidualBlock(6, 12, stride=2).eval()
    nn.init.zeros_(block.bn2.weight)
    x = torch.randn(4, 6, 8, 8)
    convolution, norm = block.shortcut
    assert (convolution.kernel_size, convolution.stride) == ((1, 1), (2, 2))
    assert block(x).shape == (4, 12, 4, 4)
    torch.testing.assert_close(block(x), norm(convolution(x)).relu())


def test_a_residual_block_adds_two_convolutions_to_its_input():
    block, x = ResidualBlock(6, 6), torch.rand(4, 6, 8, 8)
    inner = block.bn2(block.conv2(block.bn1(block.conv1(x)).relu()))
    torch.testing.assert_close(block(x), (inner + x).relu())
