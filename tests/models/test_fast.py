"""The fast recipe's network and optimizer, against their definitions."""

import pytest
import torch
import torch.nn.functional as F

from cifar_lib import data, evaluate, recipes, runs, training
from cifar_lib.models import fast

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


def test_the_fast_network_learns_the_toy_images():
    dataset = data.load("toy")
    trained = training.train(FAST, dataset)
    assert trained.history[-1]["val_accuracy"] > 0.6


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
