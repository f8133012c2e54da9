"""What is prepared before the first step, and what cannot be trained."""

import re
from dataclasses import replace

import pytest
import torch

from cifar_lib import CourseError, data, models, training


def test_too_few_images_to_hold_any_out_are_refused(tiny, toy_images):
    few = torch.cat([(toy_images.train.labels == label).nonzero()[:4, 0] for label in range(10)])
    part = replace(toy_images, train=toy_images.train[few])
    with pytest.raises(CourseError, match="40 images are too few to hold out a tenth of each class"):
        training.train(tiny, part)
    assert training.train(tiny.replace(holdout=False, epochs=1), part).history[0]["val_accuracy"] is None


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sides": [[0, 24]]}, "cannot be trained with images of 24×24 pixels"),
        (
            {"options": {"width": 4, "classes": 3}},
            "classes is no option of 'skip-cnn'",
        ),
        ({"options": {"width": -1}}, "cannot be built with the options"),
        ({"model": "fast-cnn", "options": {"widths": []}}, "cannot be built with the options"),
        ({"model": "fast-cnn", "options": {}, "sides": [[0, 4]]}, "images of 4×4 pixels"),
        ({"sides": [[0, 33]], "crop": True}, "A window of 33 pixels does not fit into images of 32"),
        ({"model": "fast-cnn", "options": {"inner": [4, 8]}}, "cannot be built with the options"),
        ({"shift": 33}, "A shift of up to 33 pixels is more than the images' 32"),
        ({"shift": 10**8}, "more than the images' 32"),
    ],
)
def test_what_cannot_be_trained_is_said_before_the_first_step(changes, words, tiny, toy_images):
    with pytest.raises(CourseError, match=re.escape(words)):
        training.train(tiny.replace(**changes), toy_images)


@pytest.mark.parametrize("frozen", [True, False])
def test_a_network_without_anything_to_train_is_refused(frozen, tiny, toy_images, monkeypatch):
    def own(shape, classes):
        linear = torch.nn.Linear(3 * 32 * 32, classes).requires_grad_(False)
        return torch.nn.Sequential(torch.nn.Flatten(), *[linear] * frozen)

    monkeypatch.setitem(models.MODELS, "own", own)
    with pytest.raises(CourseError, match="'own' has no weights that are trained"):
        training.train(tiny.replace(model="own", options={}), toy_images)


def test_trying_the_network_out_changes_nothing(tiny):
    model = models.build(tiny, (3, 32, 32))
    before = {name: value.clone() for name, value in model.state_dict().items()}
    random_numbers = torch.get_rng_state()
    models.check_shapes(model, tiny, (3, 32, 32), 10)
    assert torch.equal(torch.get_rng_state(), random_numbers)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())


def test_a_batch_larger_than_the_training_images_is_refused(tiny, toy_images):
    with pytest.raises(CourseError, match="A batch of 361 is more than the 360 images"):
        training.set_up(tiny.replace(batch_size=361), toy_images)
    assert len(training.set_up(tiny.replace(batch_size=360), toy_images).training) == 360


@pytest.mark.parametrize("seed", [-1, 2**32])
def test_a_seed_out_of_range_is_refused(seed, tiny, toy_images):
    with pytest.raises(CourseError, match="A seed is a whole number from 0 to 4294967295"):
        training.set_up(tiny, toy_images, seed)
    training.set_up(tiny, toy_images, min(max(seed, 0), 2**32 - 1))


@pytest.mark.parametrize("seed", [1.5, 1.0, "1", None])
def test_a_seed_that_is_no_whole_number_is_refused(seed, tiny, toy_images):
    with pytest.raises(CourseError, match="A seed is a whole number from 0 to 4294967295, not"):
        training.set_up(tiny, toy_images, seed)


def test_images_are_those_to_train_on_and_those_held_out(tiny, toy_images):
    kept, held_out = data.split(toy_images.train)
    setup = training.set_up(tiny, toy_images)
    assert torch.equal(setup.training.pixels, kept.pixels)
    assert torch.equal(setup.validation.pixels, held_out.pixels)
    setup = training.set_up(tiny.replace(holdout=False), toy_images)
    assert torch.equal(setup.training.pixels, toy_images.train.pixels)
    assert len(setup.validation) == 0


def test_the_seed_sets_the_initial_weights(tiny, toy_images):
    """Nothing else that was drawn before does."""

    def weights(seed):
        torch.rand(3)
        model = training.set_up(tiny, toy_images, seed).model
        return torch.cat([weight.detach().flatten() for weight in model.parameters()])

    assert torch.equal(weights(1), weights(1))
    assert (weights(1) != weights(2)).float().mean() > 0.5


def test_a_network_is_prepared_with_the_first_images_to_train_on(tiny, toy_images, monkeypatch):
    """And never with those held out."""
    given = []
    monkeypatch.setattr(training.setup, "PREPARE_IMAGES", 50)
    monkeypatch.setattr(models.FastCNN, "prepare", lambda self, images: given.append(images))
    recipe = tiny.replace(model="fast-cnn", options={"widths": [8, 16, 16]})
    setup = training.set_up(recipe, toy_images)
    (images,) = given
    assert torch.equal(images, data.normalize(setup.training.pixels[:50]))


def test_a_batch_norm_of_a_network_on_the_cpu_is_quick(tiny, toy_images):
    model = training.set_up(tiny, toy_images, device="cpu").model
    plain = models.build(tiny, (3, 32, 32))
    assert type(model.bn_conv1) is not type(plain.bn_conv1)


def test_the_network_has_the_classes_of_the_images_and_channels_last_weights(tiny, toy_images):
    more = replace(toy_images, classes=(*toy_images.classes, "another"))
    model = training.set_up(tiny, more).model
    assert model(torch.zeros(2, 3, 32, 32, device=next(model.parameters()).device)).shape == (2, 11)
    filters = [weight for weight in model.parameters() if weight.ndim == 4]
    assert filters and all(weight.is_contiguous(memory_format=torch.channels_last) for weight in filters)


@pytest.mark.parametrize("crop", [False, True])
def test_the_augmentation_follows_the_sides_of_a_recipe(crop, tiny):
    recipe = tiny.replace(border="mirror", sides=[[0, 20], [0.5, 28]], crop=crop)
    found = [training.augmentation_at(recipe, done) for done in range(4)]
    assert [one.window for one in found] == ([20, 20, 28, 28] if crop else [None] * 4)
    assert [one.side for one in found] == ([None] * 4 if crop else [20, 20, 28, 28])
    assert {(one.flip, one.shift, one.border) for one in found} == {(True, 2, "mirror")}
    assert not training.augmentation_at(recipe.replace(flip=False), 0).flip


def test_every_window_of_a_recipe_is_checked_before_the_first_step(tiny, toy_images):
    with pytest.raises(CourseError, match="A window of 33 pixels"):
        training.set_up(tiny.replace(sides=[[0, 24], [0.75, 33]], crop=True), toy_images)
