"""What identifies images, and the order that they are put in."""

import hashlib

import fakes
import torch

from cifar_lib import data


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


def test_fingerprint_sees_pixels_and_labels_but_not_order():
    part = fakes.as_images(fakes.images(20))
    reference = data.fingerprint(part)
    assert data.fingerprint(part[torch.randperm(20)]) == reference
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
    dataset = data.Dataset("some", images, images[:7], ("a", "b"), "a shelf", "f1")
    assert dataset.shape == (3, 4, 5)
    assert dataset.key == ("f1", 1_200)
    assert str(dataset) == "some: 1,200 training and 7 test images, 3×4×5, from a shelf"
