"""GoogLeNet and its modules."""

import pytest
import torch
from by_hand import conv, kinds, linear
from torch import nn

from cifar_lib.models import FactorisedInception, GoogLeNet, Inception, count_flops, count_parameters

MODULES = [(24, 16, 24, 8, 8), (56, 24, 40, 16, 16), (96, 32, 64, 16, 16)]


def inception(inputs, one, three, five, pooled):
    total = conv(inputs, one, 1) + conv(inputs, pooled, 1)
    total += conv(inputs, three // 2, 1) + conv(three // 2, three, 3)
    return total + conv(inputs, five // 2, 1) + conv(five // 2, five, 5)


def factorised(inputs, one, three, five, pooled, side=3):
    """Each convolution has no bias, but a batch norm of two numbers per channel."""

    def normed(before, after, height=1, width=1):
        return conv(before, after, height, width, bias=False) + 2 * after

    def square(before, after):
        return normed(before, after, 3, 3) if side == 3 else apart(before, after)

    def apart(before, after):
        return normed(before, after, 1, side) + normed(after, after, side, 1)

    total = normed(inputs, one) + normed(inputs, pooled)
    total += normed(inputs, three // 2) + square(three // 2, three)
    return total + normed(inputs, five // 2) + square(five // 2, five) + square(five, five)


@pytest.mark.parametrize("shape", [(3, 32, 32), (1, 28, 28)])
@pytest.mark.parametrize(
    ("options", "modules"),
    [
        ({}, sum(inception(*module) for module in MODULES)),
        (
            {"factorised": True},
            factorised(*MODULES[0]) + factorised(*MODULES[1]) + factorised(*MODULES[2], side=5),
        ),
    ],
    ids=["plain", "factorised"],
)
def test_shape_and_parameters(options, modules, shape):
    model = GoogLeNet(shape, classes=7, **options)
    assert model(torch.zeros(2, *shape)).shape == (2, 7)
    assert count_parameters(model) == conv(shape[0], 24) + modules + linear(128, 7)


@pytest.mark.parametrize("factorised", [False, True])
def test_two_modules_see_half_the_size_and_the_last_a_quarter(factorised):
    model, sizes = GoogLeNet(factorised=factorised), []
    for module in (model.stem, model.module1, model.module2, model.module3):
        module.register_forward_hook(lambda _, __, output: sizes.append(tuple(output.shape[1:])))
    model(torch.zeros(2, 3, 32, 32))
    assert sizes == [(24, 16, 16), (56, 16, 16), (96, 16, 16), (128, 8, 8)]


def test_the_linear_layer_takes_the_average_over_positions():
    model, seen = GoogLeNet().eval(), {}
    model.module3.register_forward_hook(lambda _, __, output: seen.update(maps=output))
    logits = model(torch.randn(2, 3, 32, 32))
    torch.testing.assert_close(logits, model.linear(seen["maps"].mean((2, 3))))


def test_flops_of_an_inception_module():
    """Each weight of a convolution is used at each of 16×16 positions; a multiply-add counts as two."""
    weights = 24 * 16 + (24 * 12 + 12 * 24 * 3 * 3) + (24 * 4 + 4 * 8 * 5 * 5) + 24 * 8
    assert count_flops(Inception(24, 16, 24, 8, 8), (24, 16, 16)) == 2 * 16 * 16 * weights == 2_228_224


@pytest.mark.parametrize("kind", [Inception, FactorisedInception])
def test_a_module_puts_four_paths_side_by_side(kind):
    module, x = kind(6, 3, 8, 4, 5).eval(), torch.randn(2, 6, 9, 9)
    parts = module(x).split([3, 8, 4, 5], dim=1)
    for part, path in zip(parts, (module.one, module.three, module.five, module.pooled), strict=True):
        assert part.shape[2:] == (9, 9)
        torch.testing.assert_close(part, path(x))


def layers(path):
    """The layers of a path in order, without the containers around them."""
    return [layer for layer in path.modules() if not isinstance(layer, nn.Sequential)]


def test_layers_of_each_path_in_order():
    module, convolution = Inception(6, 3, 8, 4, 5), ["Conv2d", "ReLU"]
    assert kinds(layers(module.one)) == convolution
    assert kinds(layers(module.three)) == kinds(layers(module.five)) == convolution * 2
    assert kinds(layers(module.pooled)) == ["MaxPool2d", *convolution]


@pytest.mark.parametrize(("side", "convolutions"), [(3, (1, 2, 3, 1)), (5, (1, 3, 5, 1))])
def test_batch_norm_and_relu_follow_every_factorised_convolution(side, convolutions):
    module, convolution = FactorisedInception(6, 3, 8, 4, 5, side=side), ["Conv2d", "BatchNorm2d", "ReLU"]
    found = [kinds(layers(path)) for path in (module.one, module.three, module.five, module.pooled)]
    expected = [convolution * count for count in convolutions]
    assert found == [*expected[:3], ["MaxPool2d", *expected[3]]]


def test_a_row_precedes_a_column():
    """As in the recorded weights."""
    five = FactorisedInception(6, 3, 8, 4, 5, side=5).five
    sizes = [layer.kernel_size for layer in five.modules() if isinstance(layer, nn.Conv2d)]
    assert sizes == [(1, 1), (1, 5), (5, 1), (1, 5), (5, 1)]


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
def test_factorised_5x5_filters_weigh_less(module):
    """The module with side 5 replaces three 5×5 filters; here they stand whole in their places."""
    inputs, one, three, five, pooled = module
    reductions = inputs * (one + three // 2 + five // 2 + pooled)
    whole = 5 * 5 * (three // 2 * three + five // 2 * five + five * five)
    assert filters(FactorisedInception(*module, side=5)) < reductions + whole


@pytest.mark.parametrize("module", MODULES)
def test_two_3x3_filters_weigh_less_than_one_5x5_only_where_the_channels_stay(module):
    """9 + 9 is less than 25. Here the first filter doubles the channels, so the second is twice as heavy."""
    five = module[3]
    assert 9 * five * five + 9 * five * five < 25 * five * five
    two, one = (filters(kind(*module).five) for kind in (FactorisedInception, Inception))
    reduction = module[0] * five // 2
    assert one - reduction == 25 * five // 2 * five
    assert two - reduction == 9 * five // 2 * five + 9 * five * five > one - reduction
