"""Sizes of networks."""

import pytest
import torch
from torch import nn

from cifar_lib import evaluate, models, recipes
from cifar_lib.models import MLP, SkipCNN


def test_frozen_weights_are_not_counted():
    layer = nn.Linear(5, 3)
    assert models.count_parameters(layer) == 5 * 3 + 3
    layer.weight.requires_grad = False
    assert models.count_parameters(layer) == 3


def test_flops_agree_with_a_hand_count():
    assert models.count_flops(MLP(hidden=(128,))) == 2 * (3072 * 128 + 128 * 10)
    assert models.count_flops(MLP((1, 28, 28), (16,)), (1, 28, 28)) == 2 * (784 * 16 + 16 * 10)
    w = 8
    products = 32**2 * 27 * w + 16**2 * (9 * w * 2 * w + 9 * 4 * w * w + w * 2 * w)
    products += 8**2 * (9 * 4 * w * 4 * w * 2) + 4 * w * 16 * 10
    assert models.count_flops(SkipCNN(width=w)) == 2 * products


@pytest.mark.parametrize(
    "recipe", {(r.model, str(r.options)): r for r in recipes.RECIPES.values()}.values(), ids=lambda r: r.name
)
def test_flops_agree_with_torchs_counter(recipe):
    from torch.utils.flop_counter import FlopCounterMode

    model = models.build(recipe, (3, 32, 32)).eval()
    with FlopCounterMode(display=False) as counter, torch.no_grad():
        model(torch.zeros(1, 3, 32, 32))
    assert models.count_flops(model) == counter.get_total_flops()


@pytest.mark.parametrize("training", [True, False])
def test_flops_leave_the_network_as_it_was(training):
    model = SkipCNN(width=4).train(training)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    models.count_flops(model)
    assert model.training == training
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(layer._forward_hooks for layer in model.modules())


def test_layers_in_another_mode_than_the_network_keep_it():
    model = SkipCNN(width=4).train()
    model.bn_conv1.eval()
    modes = [layer.training for layer in model.modules()]
    models.count_flops(model)
    evaluate.predict(model, torch.zeros(2, 3, 32, 32, dtype=torch.uint8))
    assert [layer.training for layer in model.modules()] == modes


def test_images_that_do_not_fit_leave_the_network_as_it_was():
    model = SkipCNN(width=4).train()
    with pytest.raises(RuntimeError):
        models.count_flops(model, (1, 32, 32))
    assert model.training
    assert not any(layer._forward_hooks for layer in model.modules())


def test_a_network_without_weights_computes_on_the_cpu():
    assert models.count_flops(nn.Flatten()) == 0
    assert evaluate.predict(nn.Flatten(), torch.zeros(2, 1, 2, 2, dtype=torch.uint8)).shape == (2, 4)
    layer = nn.ReLU()
    assert models.kernels.quicken(layer) is layer
