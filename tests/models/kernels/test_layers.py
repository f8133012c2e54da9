"""Layers with a quick backward pass, against PyTorch's own."""

import copy

import pytest
import torch
from torch import nn

from cifar_lib import models, recipes
from cifar_lib.models import kernels
from cifar_lib.models.kernels import layers
from cifar_lib.models.sync_batch_norm import SyncBatchNorm

LAYOUTS = [torch.channels_last, torch.contiguous_format]


def passes(layer, x, gradient):
    """Outputs and gradients of a layer, its weights' included."""
    x = x.detach().requires_grad_()
    y = layer(x)
    return y, *torch.autograd.grad(y, (x, *layer.parameters()), gradient)


@pytest.mark.parametrize("channels", [1, 3, 8, 16, 24, 32])
@pytest.mark.parametrize("slice_of", [1, 3])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_batch_norm_is_pytorchs_for_any_gradient(channels, slice_of, layout):
    torch.manual_seed(0)
    usual = nn.Sequential(nn.BatchNorm2d(channels, momentum=0.4))
    nn.init.uniform_(usual[0].weight)
    quick = kernels.quicken(copy.deepcopy(usual))
    x = (3 * torch.randn(5, channels, 4, 6) + 2).contiguous(memory_format=layout)
    whole = torch.randn(5, slice_of * channels, 4, 6).contiguous(memory_format=layout)
    gradient = whole[:, -channels:]
    torch.testing.assert_close(passes(quick, x, gradient), passes(usual, x, gradient))
    torch.testing.assert_close(quick.state_dict(), usual.state_dict())
    assert torch.equal(quick.eval()(x), usual.eval()(x))


@pytest.mark.parametrize("changes", [{"affine": False}, {"track_running_stats": False}, {"momentum": None}])
def test_a_batch_norm_without_weights_or_averages_is_left_alone(changes):
    usual = nn.Sequential(nn.Conv2d(3, 4, 1), nn.BatchNorm2d(4, **changes))
    quick = kernels.quicken(copy.deepcopy(usual))
    assert type(quick[1]) is nn.BatchNorm2d
    x = torch.randn(2, 3, 4, 4)
    assert torch.equal(quick(x), usual(x))


def test_relu_is_pytorchs_for_a_slice_and_for_rows():
    for x in (torch.randn(4, 8, 3, 3), torch.randn(6, 5)):
        gradient = torch.randn(len(x), 2 * x.shape[1], *x.shape[2:])[:, : x.shape[1]]
        found, usual = (passes(layer, x, gradient) for layer in (kernels.quicken(Rectified()), Rectified()))
        assert all(map(torch.equal, found, usual))


class Rectified(nn.Module):
    """ReLU in a network that has a weight, as every trained one."""

    def __init__(self):
        super().__init__()
        self.relu, self.scale = nn.ReLU(), nn.Parameter(torch.tensor(2.0))

    def forward(self, x):
        return self.relu(x) * self.scale


def test_quicken_keeps_names_weights_and_other_layers():
    network = models.build(recipes.get("small"), (3, 32, 32))
    before = {name: type(layer) for name, layer in network.named_modules()}
    weights = copy.deepcopy(network.state_dict())
    assert kernels.quicken(network) is network
    for name, layer in network.named_modules():
        expected = {nn.BatchNorm2d: layers.BatchNorm, nn.ReLU: layers.ReLU}.get(before[name], before[name])
        assert type(layer) is expected, name
    torch.testing.assert_close(network.state_dict(), weights, rtol=0, atol=0)


@pytest.mark.parametrize("rows", [1, 2, 3])
def test_taking_every_so_many_pixels_has_the_gradient_of_a_slice_in_channels_last_order(rows):
    x = torch.randn(2, 3, 5, 6).to(memory_format=torch.channels_last).requires_grad_()
    found, usual = kernels.take_every(x, rows, 2), x[:, :, ::rows, ::2]
    gradient = torch.randn(usual.shape)
    (one,), (other,) = (torch.autograd.grad(y, x, gradient) for y in (found, usual))
    assert torch.equal(found, usual) and torch.equal(one, other)
    assert one.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("kind", [nn.BatchNorm2d, nn.ReLU])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_gradient_is_in_channels_last_order_even_for_a_slice(kind, layout):
    """This is what makes the backward pass of the layers before it quick."""
    layer = kernels.quicken(nn.Sequential(nn.BatchNorm2d(8), kind(8)))[1]
    x = torch.randn(5, 8, 4, 6).contiguous(memory_format=torch.channels_last).requires_grad_()
    gradient = torch.randn(5, 24, 4, 6).contiguous(memory_format=layout)[:, 8:16]
    (found,) = torch.autograd.grad(layer(x), x, gradient)
    assert found.is_contiguous(memory_format=torch.channels_last)


class OwnReLU(nn.ReLU):
    """A reader's own."""


@pytest.mark.parametrize("kind", [SyncBatchNorm, nn.BatchNorm1d])
def test_other_kinds_of_layers_are_left_alone(kind):
    network = kernels.quicken(nn.Sequential(kind(4), OwnReLU()))
    assert [type(layer) for layer in network] == [kind, OwnReLU]


@pytest.mark.parametrize("missing", ["weight", "bias", "running_mean", "momentum"])
def test_a_batch_norm_that_lacks_a_part_is_left_alone_and_trains(missing):
    layer = nn.BatchNorm2d(4)
    setattr(layer, missing, None)
    if missing == "running_mean":
        layer.running_var = None
    kernels.quicken(nn.Sequential(layer, nn.ReLU(), nn.Conv2d(4, 1, 1)))(
        torch.randn(2, 4, 3, 3)
    ).sum().backward()
    assert type(layer) is nn.BatchNorm2d


def test_on_another_device_nothing_is_replaced():
    network = kernels.quicken(nn.Sequential(nn.BatchNorm2d(4), nn.ReLU()).to("meta"))
    assert [type(layer) for layer in network] == [nn.BatchNorm2d, nn.ReLU]
