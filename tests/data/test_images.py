"""What identifies images, and the order that they are put in."""

import hashlib
from dataclasses import replace

import fakes
import numpy as np
import pytest
import torch
from refusals import refusal
from trainings import DEVICES

from cifar_lib import data, evaluate, recipes, training


def test_the_order_and_the_fingerprint_are_those_of_the_digests():
    images = fakes.as_images(fakes.images(30))
    images = images[torch.arange(60) % 30]  # each twice
    digests = [
        hashlib.sha256(bytes([label]) + pixels.numpy().tobytes()).digest()
        for pixels, label in zip(images.pixels, images.labels.tolist(), strict=True)
    ]
    expected = images[torch.tensor(sorted(range(60), key=digests.__getitem__))]
    fingerprint = data.fingerprint(images)
    assert data.images.put_in_content_order(images) == fingerprint
    assert fingerprint == hashlib.sha256(b"".join(sorted(digests))).hexdigest()
    assert fakes.same(images, expected)


@pytest.mark.parametrize("device", DEVICES)
def test_fingerprint_sees_pixels_and_labels_but_not_order(device):
    part = fakes.as_images(fakes.images(20))
    reference = data.fingerprint(part)
    assert data.fingerprint(part[torch.randperm(20)].to(device)) == reference
    pixels, labels = part.pixels.clone(), part.labels.clone()
    pixels[3, 0, 0, 0] ^= 1
    labels[5] = (labels[5] + 1) % 10
    assert data.fingerprint(data.Images(pixels, part.labels)) != reference
    assert data.fingerprint(data.Images(part.pixels, labels)) != reference


def test_images_are_chosen_by_slice_mask_and_position():
    images = fakes.as_images(fakes.images(12))
    for index in (slice(2, 5), torch.arange(12) % 3 == 0, torch.tensor([7, 0, 7])):
        chosen = images[index]
        assert fakes.same(chosen, data.Images(images.pixels[index], images.labels[index]))
        assert len(chosen) == 3 or len(chosen) == 4


def test_images_move_to_a_device_with_their_labels():
    there = fakes.as_images(fakes.images(2)).to("meta")
    assert (there.pixels.device.type, there.labels.device.type) == ("meta", "meta")


def test_a_data_set_says_what_it_is():
    images = fakes.as_images(fakes.images(1_200, (3, 4, 5)))
    dataset = data.Dataset("some", images, images[:7], ("a", "b"), "a shelf")
    assert dataset.shape == (3, 4, 5)
    assert dataset.key == (data.fingerprint(images), 1_200)
    assert str(dataset) == "some: 1,200 training and 7 test images, 3×4×5, from a shelf"


def test_other_training_images_have_another_fingerprint(toy_images):
    """A reader who changes images by `replace` does not think of the fingerprint."""
    same = data.load("toy").with_fingerprint("known")
    inverted = data.Images(255 - same.train.pixels, same.train.labels)
    assert (same.fingerprint, replace(same, train=inverted).fingerprint) == (
        "known",
        data.fingerprint(inverted),
    )
    assert replace(same, test=inverted).fingerprint == toy_images.fingerprint


# Tensors that are no images

PIXELS, LABELS = torch.zeros(10, 3, 32, 32, dtype=torch.uint8), torch.arange(10)
WRONG_FORMS = {
    "floats from 0 to 1": (PIXELS / 255, LABELS, "because the library scales them"),
    "half floats": (PIXELS.half(), LABELS, "float16 [10, 3, 32, 32]"),
    "truth values": (PIXELS.bool(), LABELS, "bool [10, 3, 32, 32]"),
    "channels last": (PIXELS.permute(0, 2, 3, 1), LABELS, "use pixels.permute(0, 3, 1, 2)"),
    "one image": (PIXELS[0], LABELS[:3], "for a single image use pixels[None]"),
    "grey images without a channel": (PIXELS[:, 0], LABELS, "for grey images use pixels[:, None]"),
    "rows": (PIXELS.flatten(1), LABELS, "[N, C, H, W]"),
    "an array": (PIXELS.numpy(), LABELS, "ndarray uint8 [10, 3, 32, 32]"),
    "a list": ([[0]], LABELS, "are list, but"),
    "one-hot labels": (PIXELS, torch.eye(10, dtype=torch.long), "argmax(1) for one-hot rows"),
    "labels of another type": (PIXELS, LABELS.float(), "Labels are float32 [10]"),
    "a list of labels": (PIXELS, list(range(10)), "Labels are list"),
    "an array of labels": (PIXELS, np.arange(10), "Labels are ndarray int64 [10]"),
    "labels that are too few": (PIXELS, LABELS[:9], "There are 10 images, but 9 labels"),
}


@pytest.mark.parametrize("kind", WRONG_FORMS)
def test_tensors_that_cannot_be_images_are_refused(kind):
    pixels, labels, words = WRONG_FORMS[kind]
    assert words in refusal(data.Images, pixels, labels)


@pytest.mark.parametrize("kind", [kind for kind in WRONG_FORMS if "label" not in kind])
def test_a_network_is_not_asked_about_what_cannot_be_images(kind):
    pixels, _, words = WRONG_FORMS[kind]
    assert words in refusal(evaluate.predict, torch.nn.Flatten(), pixels)


@pytest.mark.parametrize(("low", "high"), [(-1, 5), (0, 256)])
def test_whole_numbers_of_another_range_are_refused(low, high, toy_images, tiny):
    pixels = torch.full((400, 3, 32, 32), low)
    pixels[0] = high
    words = f"The pixels go from {low} to {high}, but must be 0 to 255"
    assert words in refusal(evaluate.predict, torch.nn.Flatten(), pixels)
    other = replace(toy_images, train=data.Images(pixels, toy_images.train.labels))
    assert words in refusal(training.train, tiny, other)


def test_whole_numbers_of_another_type_train_as_bytes_do(toy_images, tiny):
    recipe = tiny.replace(epochs=1)
    longs = replace(toy_images, train=data.Images(toy_images.train.pixels.long(), toy_images.train.labels))
    one, other = (training.train(recipe, images, device="cpu").history for images in (toy_images, longs))
    assert one[0]["train_loss"] == other[0]["train_loss"]


def test_ones_and_zeros_are_not_trained_on(toy_images, tiny):
    """Images from 0 to 1 that were made whole numbers: nearly all of them black."""
    pixels = (toy_images.train.pixels / 255).byte()
    other = replace(toy_images, train=data.Images(pixels, toy_images.train.labels))
    assert "No pixel is larger than 1" in refusal(training.train, tiny, other)


@pytest.mark.parametrize("change", [1, -1])
def test_labels_of_no_class_are_not_trained_on(change, toy_images, tiny):
    other = replace(toy_images, train=data.Images(toy_images.train.pixels, toy_images.train.labels + change))
    low, high = (1, 10) if change == 1 else (-1, 8)
    assert f"The labels go from {low} to {high}, but 10 classes have 0 to 9" in refusal(
        training.train, tiny, other
    )


def test_what_is_scaled_is_not_scaled_again(toy_images):
    assert "have been scaled already" in refusal(data.normalize, data.normalize(toy_images.test.pixels))


@pytest.mark.parametrize("views", [0, 3, 4])
def test_a_number_of_views_that_there_is_not(views, toy_images):
    assert f"1, 2 or 6 views, not {views}" in refusal(
        evaluate.predict, recipes_model(toy_images), toy_images.test.pixels[:5], views
    )


def recipes_model(images):
    return training.set_up(recipes.get("paper-quick"), images, device="cpu").model


@pytest.mark.parametrize("wrong", [-1, 256])
def test_labels_that_are_no_classes_have_no_fingerprint(wrong):
    images = data.Images(torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.tensor([0, wrong]))
    low, high = min(wrong, 0), max(wrong, 0)
    assert f"The labels go from {low} to {high}, but must be 0 to 255" in refusal(data.fingerprint, images)
