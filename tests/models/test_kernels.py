"""What makes a step quick on a CPU changes no result: against PyTorch's own layers."""

import copy
import json
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cifar_lib import models, recipes
from cifar_lib.models import fast, kernels
from cifar_lib.models.kernels import layers

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


@pytest.fixture(autouse=True)
def nothing_measured(monkeypatch):
    monkeypatch.setattr(kernels.autotune, "_times", {})


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


def test_the_quickest_way_is_taken_and_kept_for_the_next_process(monkeypatch, cache):
    times, measured = {"usual": 5.0, "mosaic": 3.0, "mosaic gradient": 4.0, "winograd": 9.0}, []

    def clock(way, x, weight):
        measured.append(way)
        return times[next(name for name, function in kernels.WAYS.items() if function is way)]

    monkeypatch.setattr(kernels.autotune, "_milliseconds", clock)
    x, weight = torch.randn(40, 4, 3, 3), torch.randn(4, 4, 3, 3)
    assert kernels.autotune._quickest(x, weight) == "mosaic"
    assert kernels.autotune._quickest(x, weight) == "mosaic" and len(measured) == 4  # measured once
    kernels.autotune._times.clear()  # as a new process finds it
    assert kernels.autotune._quickest(x, weight) == "mosaic" and len(measured) == 4
    (kept,) = cache.glob("kernels-*.json")
    assert list(json.loads(kept.read_text()).values()) == [times]
    kept.write_text("{half a fi")
    kernels.autotune._times.clear()
    times["mosaic"] = 4.9  # not clearly quicker than the usual
    times["mosaic gradient"] = 4.9
    assert kernels.autotune._quickest(x, weight) == "usual" and len(measured) == 8


def test_large_images_have_one_way_and_are_not_measured(monkeypatch):
    monkeypatch.setattr(kernels.autotune, "_milliseconds", None)
    assert kernels.autotune._quickest(torch.empty(2, 3, 31, 31), torch.empty(4, 3, 3, 3)) == "usual"


def test_winograd_is_for_small_images_in_float32_alone():
    x = torch.empty(2, 3, 9, 9)
    assert kernels.autotune._possible(torch.empty(2, 3, 17, 17)) == ["usual"]
    assert kernels.autotune._possible(x) == ["usual", "winograd"]
    with torch.autocast("cpu", torch.bfloat16):
        assert kernels.autotune._possible(x) == ["usual"]


def test_the_switch_fixes_the_way_within_its_context_and_measures_nothing(monkeypatch):
    monkeypatch.setattr(kernels.autotune, "_milliseconds", None)
    taken = []
    monkeypatch.setitem(kernels.WAYS, "mosaic", lambda x, weight: taken.append(x))
    convolution = fast.Convolution(2, 2)
    with kernels.only("mosaic"):
        convolution(torch.randn(1, 2, 4, 4))
        convolution.eval()(torch.randn(1, 2, 4, 4))  # evaluation is PyTorch's own
    assert len(taken) == 1 and kernels.autotune._fixed is None


def test_measuring_leaves_the_network_and_the_random_numbers_as_they_were():
    convolution = fast.Convolution(4, 4)
    before = convolution.weight.detach().clone()
    state = torch.get_rng_state()
    convolution(torch.randn(40, 4, 3, 3, generator=torch.Generator().manual_seed(0))).sum().backward()
    assert kernels.autotune._times and torch.equal(torch.get_rng_state(), state)
    assert torch.equal(convolution.weight, before) and convolution.weight.grad is not None
