"""Which images an epoch takes, and where their losses are put."""

import pytest
import torch
import torch.nn.functional as F

from cifar_lib import data, device, hardest, models, train
from cifar_lib.train import make_optimizer, train_epoch


def test_the_highest_losses_come_first_and_before_them_what_was_not_seen():
    losses = hardest.Losses(5)
    losses.values[:] = torch.tensor([0.3, 2.0, torch.inf, 0.1, 0.5])
    assert losses.highest(0.2).tolist() == [2]
    assert losses.highest(0.6).tolist() == [1, 2, 4]
    assert losses.highest(1).tolist() == [0, 1, 2, 3, 4]


def test_every_image_gets_the_loss_of_its_own_step(tiny, toy_images, monkeypatch):
    """At rate 0 the network stays as it is, so the losses can be computed afterwards."""
    monkeypatch.setattr(device, "training_dtype", lambda device: torch.float32)
    images = toy_images.train[:100]
    recipe = tiny.but(rate=0.0, batch_size=30, flip=False, crop=0, label_smoothing=0.3)
    recipe = recipe.but(options={"width": 4, "batch_norm": False})
    model = models.build(recipe, (3, 32, 32))
    losses = hardest.Losses(100)
    train_epoch(recipe, model, make_optimizer(recipe, model), images, 0, 1, losses)
    with torch.no_grad():
        expected = F.cross_entropy(model(data.normalize(images.pixels)), images.labels, reduction="none")
    seen = losses.values.isfinite()
    assert seen.sum() == 90  # three whole batches
    torch.testing.assert_close(losses.values[seen], expected[seen])


def test_an_epoch_takes_the_hardest_and_leaves_the_others_their_losses(tiny, toy_images, monkeypatch):
    seen = []

    def watched(images, *arguments, among, **options):
        seen.append(among)
        return data.batches(images, *arguments, among=among, **options)

    monkeypatch.setattr(train, "batches", watched)
    recipe = tiny.but(batch_size=20, epochs=4, shares=[[0, 1], [0.5, 0.3]])
    images, losses = toy_images.train[:100], hardest.Losses(100)
    model = models.build(recipe, (3, 32, 32))
    optimizer = make_optimizer(recipe, model)
    for epoch in range(1, 5):
        before = losses.values.clone()
        train_epoch(recipe, model, optimizer, images, 0, epoch, losses)
        taken = torch.zeros(100, dtype=torch.bool)
        taken[seen[-1]] = True
        assert taken.sum() == (100 if epoch < 3 else 30)
        assert before[taken].min() >= before[~taken].max() if epoch > 2 else True
        changed = losses.values != before
        assert not changed[~taken].any() and changed.sum() == (100 if epoch < 3 else 20)


def test_a_share_of_one_is_the_same_training_as_none(tiny, toy_images):
    plain = train.train(tiny, toy_images).history
    shared = train.train(tiny.but(shares=[[0, 1], [0.5, 1.0]]), toy_images).history
    assert [epoch["train_loss"] for epoch in plain] == [epoch["train_loss"] for epoch in shared]


@pytest.mark.parametrize("size", [40, 41])
def test_batches_take_no_other_images(size, toy_images):
    images = data.Images(toy_images.train.pixels[:100], torch.arange(100))
    among = torch.arange(0, 100, 2)[:size]
    stream = data.batches(images, 20, seed=0, epoch=1, among=among, flip=True, crop=2)
    labels = [label for _, labels in stream for label in labels.tolist()]
    assert len(set(labels)) == 40 and set(labels) <= set(among.tolist())
