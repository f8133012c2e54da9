"""Losses against their formulas, and the groups of each optimizer."""

import math

import pytest
import torch
import torch.nn.functional as F

from cifar_lib import models, training
from cifar_lib.recipes import OPTIMIZERS, RECIPES

LOGITS = torch.tensor([[2.0, -1.0, 0.5], [0.0, 0.0, 3.0]])


LABELS = torch.tensor([0, 2])


def test_the_usual_training_loss_is_torchs_cross_entropy(tiny):
    rows = [-math.log(math.exp(2) / (math.exp(2) + math.exp(-1) + math.exp(0.5)))]
    rows.append(-math.log(math.exp(3) / (1 + 1 + math.exp(3))))
    found = training.training_loss(tiny, LOGITS, LABELS)
    assert found.item() == pytest.approx(sum(rows) / 2, rel=1e-6)
    assert torch.equal(found, F.cross_entropy(LOGITS, LABELS))


def test_smoothed_labels_mix_the_label_with_all_classes(tiny):
    plain = -F.log_softmax(LOGITS, 1)
    expected = (0.8 * plain[[0, 1], LABELS] + 0.2 * plain.mean(1)).mean()
    found = training.training_loss(tiny.replace(label_smoothing=0.2), LOGITS, LABELS)
    assert found.item() == pytest.approx(expected.item(), rel=1e-6)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_the_squared_error_is_the_distance_from_the_one_hot_label(dtype, tiny):
    rows = [(2 - 1) ** 2 + (-1) ** 2 + 0.5**2, 0 + 0 + (3 - 1) ** 2]
    found = training.training_loss(tiny.replace(loss="squared-error"), LOGITS.to(dtype), LABELS)
    assert found.item() == sum(rows) / 2
    assert found.dtype == torch.float32


@pytest.mark.parametrize(
    ("name", "kind", "options"),
    [
        ("adam", torch.optim.Adam, {}),
        ("adamw", torch.optim.AdamW, {}),
        ("sgd", torch.optim.SGD, {"momentum": 0.9, "nesterov": True}),
    ],
)
def test_torchs_optimizers_have_the_recipes_settings(name, kind, options, tiny):
    model = models.build(tiny, (3, 32, 32))
    found = training.make_optimizer(tiny.replace(optimizer=name), model)
    (group,) = found.param_groups
    assert type(found) is kind
    expected = {"lr": 0.005, "weight_decay": 0.001} | options
    assert {option: group[option] for option in expected} == expected
    assert list(map(id, group["params"])) == list(map(id, model.parameters()))


def test_muon_moves_filters_the_last_layer_and_biases_at_rates_1_11_and_220(tiny):
    recipe = tiny.replace(optimizer="muon", model="fast-cnn", options={"widths": [8, 16, 16]})
    model = models.build(recipe, (3, 32, 32))
    optimizer = training.make_optimizer(recipe, model)
    filters, last, biases = optimizer.param_groups
    assert [group["scale"] for group in optimizer.param_groups] == [1, 11, 220]
    assert [group["momentum"] for group in optimizer.param_groups] == [0.6, 0.85, 0.85]
    assert [group["orthogonal"] for group in optimizer.param_groups] == [True, False, False]
    assert {group["lr"] for group in optimizer.param_groups} == {0.005}
    assert {group["weight_decay"] for group in optimizer.param_groups} == {0.001}
    assert {weight.ndim for weight in filters["params"]} == {4} and len(filters["params"]) == 6
    assert [weight.shape for weight in last["params"]] == [(10, 16)]
    assert {weight.ndim for weight in biases["params"]} == {1} and len(biases["params"]) == 6


def test_muon_moves_every_weight_of_a_network_of_ones_own(tiny):
    class Mine(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.row, self.scale = torch.nn.Conv1d(3, 4, 3), torch.nn.Parameter(torch.tensor(2.0))

        def forward(self, x):
            return self.row(x).mean(2) * self.scale

    model = Mine()
    before = {name: value.clone() for name, value in model.state_dict().items()}
    optimizer = training.make_optimizer(tiny.replace(optimizer="muon"), model)
    model(torch.rand(2, 3, 8)).sum().backward()
    optimizer.step()
    assert not [name for name, value in model.state_dict().items() if torch.equal(value, before[name])]


def test_the_papers_optimizer_is_adam_as_it_was_published():
    optimizer = training.make_optimizer(RECIPES["paper"], torch.nn.Linear(2, 2))
    assert type(optimizer) is torch.optim.Adam
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (0.01, 0.003)
    assert (optimizer.defaults["betas"], optimizer.defaults["eps"]) == ((0.9, 0.999), 1e-8)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
def test_a_gradient_that_overflows_leaves_no_trace(optimizer, tiny, monkeypatch):
    """Least of all the first one of a training, before which no optimizer has a history."""
    monkeypatch.setattr(torch.utils.deterministic, "fill_uninitialized_memory", True)
    torch.use_deterministic_algorithms(True)
    try:
        alone, disturbed = (
            steps(tiny.replace(optimizer=optimizer), factors)
            for factors in ([1, 1], [math.inf, 1, math.inf, 1])
        )
    finally:
        torch.use_deterministic_algorithms(False)
    for name, weight in alone.items():
        assert torch.equal(weight, disturbed[name]), name


def steps(recipe, factors):
    """A network's weights after one step for each factor of its loss."""
    torch.manual_seed(0)
    model = models.build(recipe, (3, 32, 32))
    optimizer = training.make_optimizer(recipe, model)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    for factor in factors:
        optimizer.zero_grad()
        loss = factor * training.training_loss(recipe, model(torch.ones(3, 3, 32, 32)), LABELS.repeat(2)[:3])
        scaler.scale(loss).backward()
        scaler.step(optimizer)
        scaler.update()
    return dict(model.named_parameters())
