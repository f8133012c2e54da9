"""The fast recipe's network and optimizer, against their definitions."""

import pytest
import torch
import torch.nn.functional as F

from cifar_lib import data, evaluate, recipes, runs, training
from cifar_lib.models import fast
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


def test_the_first_layer_keeps_float32_where_all_others_are_rounded():
    kinds = {}
    network = fast.FastCNN(widths=(4, 4, 4))
    for name in ("whiten", "stages", "linear"):
        getattr(network, name).register_forward_hook(lambda _, x, y, name=name: kinds.update({name: y.dtype}))
    with torch.autocast("cpu", torch.bfloat16):
        network(torch.randn(2, 3, 32, 32))
    assert kinds == {"whiten": torch.float32, "stages": torch.bfloat16, "linear": torch.bfloat16}


def test_prepare_whitens_the_patches(toy_images):
    network = fast.FastCNN()
    images = data.normalize(toy_images.train.pixels[:200])
    network.prepare(images)
    outputs = F.conv2d(images, network.whiten.weight).transpose(0, 1).flatten(1).double()
    covariance = outputs[:12] @ outputs[:12].T / outputs.shape[1]
    off = covariance - covariance.diagonal().diag()
    assert off.abs().max() < 1e-3
    assert (covariance.diagonal() <= 1.001).all() and covariance.diagonal().max() > 0.99
    torch.testing.assert_close(outputs[12:], -outputs[:12])
    assert not network.whiten.weight.requires_grad


def test_prepare_takes_the_images_in_parts_as_if_at_once():
    images = torch.randn(1_201, 3, 6, 6, generator=torch.Generator().manual_seed(0))
    images[:600] *= 3
    network = fast.FastCNN(widths=(8, 16, 16))
    network.prepare(images)
    patches = F.unfold(images, 2).transpose(1, 2).flatten(0, 1).double()
    variance, directions = torch.linalg.eigh(patches.T @ patches / len(patches))
    filters = (directions / (variance + 5e-4).sqrt()).T.float()
    assert torch.allclose(network.whiten.weight[:12].flatten(1), filters, atol=1e-5)


def test_without_whitening_the_first_layer_is_left_to_training(toy_images):
    network = fast.FastCNN(whiten=False)
    before = network.whiten.weight.detach().clone()
    network.prepare(data.normalize(toy_images.train.pixels[:50]))
    assert torch.equal(network.whiten.weight, before) and network.whiten.weight.requires_grad


def test_dirac_filters_pass_their_inputs_through():
    convolution = fast.Stage(4, 6, dirac=True).conv1
    x = torch.randn(2, 4, 5, 5)
    torch.testing.assert_close(convolution(x)[:, :4], x)


def test_inner_channels_lie_between_the_convolutions_of_a_stage():
    network = fast.FastCNN(widths=(8, 16, 16), inner=(8, 12, 20))
    convolutions = [(c.in_channels, c.out_channels) for s in network.stages for c in (s.conv1, s.conv2)]
    assert convolutions == [(24, 8), (8, 8), (8, 12), (12, 16), (16, 20), (20, 16)]
    assert network(torch.zeros(2, 3, 28, 28)).shape == (2, 10)


@pytest.mark.parametrize("shape", [(20, 50), (50, 20), (30, 30)])
def test_orthogonal_keeps_the_directions_and_evens_out_their_lengths(shape):
    torch.manual_seed(0)
    matrix = torch.randn(shape)
    found = muon.orthogonal(matrix, iterations=5)
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
        step = muon.orthogonal((filters.grad + 0.6 * buffer).flatten(1)).view_as(weight)
        weight = weight * 2 / weight.norm() - rate * step
        shift_buffer = 0.85 * shift_buffer + 0.3
        shift = shift * (1 - rate * 0.5) - rate * 10 * (0.3 + 0.85 * shift_buffer)
    torch.testing.assert_close(filters.detach(), weight)
    torch.testing.assert_close(bias.detach(), torch.full((5,), shift))


@pytest.mark.parametrize("alone", [0, muon.ALONE])
def test_filters_of_one_shape_do_not_see_each_other(alone, monkeypatch):
    """Together as each by itself, in whatever order memory holds them."""
    monkeypatch.setattr(muon, "ALONE", alone)
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


def test_more_views_are_recorded_beside_the_single_one(monkeypatch):
    monkeypatch.setenv("CIFAR_PROFILE", "full")
    monkeypatch.setattr(runs.queue, "checkpoint_file", lambda key: None)
    run = runs.run(FAST.replace(epochs=1, holdout=False))
    assert set(run.result) == {"test_accuracy", "test_top2", "test_accuracy_views", "test_loss"}
    assert (run.data["n_train"], run.data["n_val"]) == (len(data.load("toy").train), 0)


@pytest.mark.parametrize("views", [1, 2, 6])
def test_views_are_weighted_and_see_the_image_from_all_sides(views):
    image = torch.arange(48.0).view(1, 3, 4, 4)
    seen = evaluate.weighted_views(image, views)
    assert len(seen) == views
    assert sum(weight for weight, _ in seen) == 1
    assert torch.equal(seen[0][1], image)
    if views == 6:
        assert torch.equal(seen[2][1][..., 1:, 1:], image[..., :3, :3])  # moved down and right
        assert torch.equal(seen[4][1][..., :3, :3], image[..., 1:, 1:])
