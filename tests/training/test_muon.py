"""Muon against its definition."""

import pytest
import torch

from cifar_lib import data, recipes, training
from cifar_lib.training import muon

FAST = recipes.Recipe(
    "fast",
    data="toy",
    model="fast-cnn",
    options={"widths": [8, 16, 16]},
    epochs=4,
    batch_size=50,
    optimizer="muon",
    rate=0.2,
    schedule="linear",
    label_smoothing=0.2,
    flip=True,
    shift=2,
    sides=[[0, 24], [0.5, 32]],
    views=6,
)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (30, 30)])
def test_orthogonal_keeps_the_directions_and_evens_out_their_lengths(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    found = muon.orthogonalize(matrix, iterations=5)
    u, values, v = torch.linalg.svd(matrix, full_matrices=False)
    turned = u.T @ found @ v.T
    assert (turned - turned.diagonal().diag()).abs().max() < 0.05
    assert values.max() / values.min() > 2
    lengths = torch.linalg.svdvals(found)
    assert lengths.min() > 0.3 and lengths.max() < 1.3


@pytest.mark.parametrize("kind", [float, torch.tensor])
def test_muon_takes_the_documented_step(kind):
    """With a rate that is a number, and with one that lies on a device."""
    torch.manual_seed(0)
    filters, bias = torch.randn(4, 3, 3, 3, requires_grad=True), torch.ones(5, requires_grad=True)
    optimizer = muon.Muon([filters], [{"params": [bias], "scale": 10.0}], lr=0.1, weight_decay=0.5)
    buffer, weight, shift, shift_buffer = torch.zeros_like(filters), filters.detach().clone(), 1.0, 0.0
    for rate in (0.1, 0.05):
        for group in optimizer.param_groups:
            group["lr"] = kind(rate)
        filters.grad, bias.grad = torch.randn_like(filters), torch.full((5,), 0.3)
        optimizer.step()
        buffer = 0.6 * buffer + filters.grad
        step = muon.orthogonalize((filters.grad + 0.6 * buffer).flatten(1)).view_as(weight)
        weight = weight * 2 / weight.norm() - rate * step
        shift_buffer = 0.85 * shift_buffer + 0.3
        shift = shift * (1 - rate * 0.5) - rate * 10 * (0.3 + 0.85 * shift_buffer)
    torch.testing.assert_close(filters.detach(), weight)
    torch.testing.assert_close(bias.detach(), torch.full((5,), shift))


@pytest.mark.parametrize("alone", [0, muon.STACKED_NUMBERS])
def test_filters_of_one_shape_do_not_see_each_other(alone, monkeypatch):
    """Together as each by itself, in whatever order memory holds them."""
    monkeypatch.setattr(muon, "STACKED_NUMBERS", alone)
    torch.manual_seed(0)
    shapes = [(6, 4, 3, 3), (40, 2, 3, 3), (6, 4, 3, 3), (6, 2, 3, 6), (40, 2, 3, 3), (6, 36)]
    weights = [torch.randn(shape) for shape in shapes]
    weights[2:4] = [weight.contiguous(memory_format=torch.channels_last) for weight in weights[2:4]]
    gradients = [torch.randn_like(weight) for weight in weights]

    def stepped(places):
        chosen = [torch.nn.Parameter(weights[place].clone()) for place in places]
        optimizer = muon.Muon(chosen, [], lr=0.1)
        for weight, place in zip(chosen, places, strict=True):
            weight.grad = gradients[place]
        optimizer.step()
        return chosen

    for place, together in enumerate(stepped(range(len(weights)))):
        (single,) = stepped([place])
        torch.testing.assert_close(together, single, rtol=0, atol=0.01)  # a step has lengths of 0.1
        assert not torch.allclose(single, weights[place], atol=0.05)


@pytest.mark.parametrize("shape", [(20, 60), (60, 20), (2, 20, 60)])
def test_three_iterations_bring_singular_values_to_about_one(shape, float32):
    """All that are at least a fiftieth of the matrix's norm come to lie between 0.68 and 1.21."""
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    before = torch.linalg.svdvals(matrix)
    assert (before > 0.02 * before.square().sum(-1, keepdim=True).sqrt()).all()
    found = torch.linalg.svdvals(muon.orthogonalize(matrix))
    assert found.min() > 0.68 and found.max() < 1.21


def test_three_iterations_are_enough_for_a_value_of_a_fiftieth_of_the_norm(float32):
    values = torch.tensor([0.0201, 0.05, 0.1, 0.2, 0.4])
    largest = (1 - values.square().sum()).sqrt()
    found = torch.linalg.svdvals(muon.orthogonalize(torch.diag(torch.cat([values, largest[None]]))))
    assert found.min() > 0.68 and found.max() < 1.21


def test_an_iteration_is_the_published_polynomial_of_the_singular_values(float32):
    values = torch.tensor([0.6, 0.64, 0.48])  # of norm 1
    found = muon.orthogonalize(torch.diag(values), iterations=1).diagonal()
    torch.testing.assert_close(found, 3.4445 * values - 4.7750 * values**3 + 2.0315 * values**5)


def test_a_matrix_of_zeros_stays_zero():
    assert torch.equal(muon.orthogonalize(torch.zeros(3, 5)), torch.zeros(3, 5))


def test_the_step_has_the_dtype_of_its_weights(monkeypatch):
    """However the products are rounded."""
    seen = []
    monkeypatch.setattr(muon.devices, "training_dtype", lambda device: seen.append(device) or torch.bfloat16)
    torch.manual_seed(0)
    matrix = torch.randn(4, 6)
    found = muon.orthogonalize(matrix)
    assert found.dtype == torch.float32
    assert torch.equal(found, found.bfloat16().float())  # so the products were rounded


def test_weights_without_a_gradient_stay(float32):
    moved, still = (torch.nn.Parameter(torch.ones(2, 3)) for _ in range(2))
    optimizer = muon.Muon([moved, still], [], lr=0.1)
    moved.grad = torch.ones(2, 3)
    optimizer.step()
    assert torch.equal(still, torch.ones(2, 3)) and not torch.equal(moved, torch.ones(2, 3))


def test_the_fast_network_learns_the_toy_images():
    dataset = data.load("toy")
    trained = training.train(FAST, dataset)
    assert trained.history[-1]["val_accuracy"] > 0.6


def test_a_stopped_training_with_muon_goes_on_exactly(tmp_path, monkeypatch):
    dataset, path = data.load("toy"), tmp_path / "fast.safetensors"
    whole = training.train(FAST, dataset)
    save = training.save_checkpoint

    def save_and_die(*arguments):
        save(*arguments)
        if len(arguments[2].history) == 2:
            raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(training.loop, "save_checkpoint", save_and_die)
        training.train(FAST, dataset, checkpoint=path)
    continued = training.train(FAST, dataset, checkpoint=path)
    assert [entry["train_loss"] for entry in continued.history] == [e["train_loss"] for e in whole.history]
    weights = whole.model.state_dict()
    assert all(torch.equal(value, weights[name]) for name, value in continued.model.state_dict().items())
