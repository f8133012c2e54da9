"""Splits, the order of an epoch, augmentation: by hand, or against a loop over single images."""

import fakes
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from refusals import refusal

from cifar_lib import data


def numbered(n):
    """n images of one pixel, each labelled by its number."""
    return data.Images(torch.arange(n, dtype=torch.uint8).view(n, 1, 1, 1), torch.arange(n))


def labels_of(images, size=10, **choices):
    return [labels.tolist() for _, labels in data.batches(images, size, **choices)]


def test_the_split_takes_the_first_tenth_of_each_class():
    labels = [1] * 10 + [0] * 50 + [2] * 16 + [3] * 4  # tenths of 1, 5, 1.6 and 0.4 images
    images = data.Images(numbered(80).pixels, torch.tensor(labels))
    training, validation = data.split(images)
    held_out = [0, 10, 11, 12, 13, 14, 60, 61]
    assert validation.pixels.flatten().tolist() == held_out
    assert validation.labels.tolist() == [1, 0, 0, 0, 0, 0, 2, 2]
    assert training.pixels.flatten().tolist() == [i for i in range(80) if i not in held_out]


def test_normalize_puts_grey_at_zero():
    values = data.normalize(torch.tensor([0, 51, 255], dtype=torch.uint8))
    torch.testing.assert_close(values, torch.tensor([-2.0, -1.2, 2.0]))


def test_epoch_seeds_are_all_different():
    assert data.epoch_seed(0, 1) == 1
    assert data.epoch_seed(2, 5) == 2_000_011
    seeds = {data.epoch_seed(seed, epoch) for seed in range(30) for epoch in range(100)}
    assert len(seeds) == 3_000


def test_batches_depend_on_seed_and_epoch_alone(toy_images):
    def epoch(seed, epoch):
        torch.rand(seed + epoch)
        changes = data.Augmentation(flip=True, shift=4)
        return list(data.batches(toy_images.train, 64, seed=seed, epoch=epoch, augmentation=changes))

    for (inputs, labels), (inputs_again, labels_again) in zip(epoch(0, 1), epoch(0, 1), strict=True):
        assert torch.equal(inputs, inputs_again) and torch.equal(labels, labels_again)


def test_seeds_may_be_numpys(toy_images):
    images, flip = toy_images.train[:50], data.Augmentation(flip=True)
    for kind in (np.int64, np.int32):
        found, expected = (
            next(data.batches(images, 20, seed=seed, epoch=epoch, augmentation=flip))
            for seed, epoch in ((kind(5_000), kind(2)), (5_000, 2))
        )
        assert all(torch.equal(one, other) for one, other in zip(found, expected, strict=True))
        assert fakes.same(data.shuffle_labels(images, kind(3)), data.shuffle_labels(images, 3))


def test_the_order_is_another_in_each_epoch_and_for_each_seed():
    orders = {str(labels_of(numbered(50), seed=s, epoch=e)) for s in range(5) for e in range(1, 6)}
    assert len(orders) == 25


def test_batches_are_full_and_hold_each_image_at_most_once():
    found = list(data.batches(numbered(50), 16, seed=0, epoch=1))
    assert [len(labels) for _, labels in found] == [16, 16, 16]
    labels = torch.cat([labels for _, labels in found])
    assert len(labels.unique()) == 48 and labels.tolist() != sorted(labels.tolist())
    torch.testing.assert_close(torch.cat([x for x, _ in found]).flatten(), data.normalize(labels))


def test_fewer_images_than_a_batch_give_none(toy_images):
    augmentation = data.Augmentation(flip=True, shift=2)
    assert list(data.batches(toy_images.train[:9], 10, seed=0, epoch=1, augmentation=augmentation)) == []


def test_without_augmentation_batches_leave_images_alone(toy_images):
    images = data.Images(toy_images.train.pixels, torch.arange(400))
    for augmentation in ({}, {"augmentation": data.Augmentation()}):
        for inputs, labels in data.batches(images, 100, seed=0, epoch=1, **augmentation):
            assert torch.equal(inputs, data.normalize(images.pixels[labels]))
            assert inputs.dtype == torch.float32
            assert inputs.is_contiguous(memory_format=torch.channels_last)


def test_a_shift_brings_in_black_if_nothing_else_is_said():
    images = data.Images(torch.full((50, 1, 8, 8), 255, dtype=torch.uint8), torch.arange(50))
    ((inputs, _),) = data.batches(images, 50, seed=0, epoch=1, augmentation=data.Augmentation(shift=2))
    assert inputs.unique().tolist() == [-2, 2]


def drawn_step_by_step(images, size, seed, epoch, augmentation):
    """The batches as they were first defined: each step draws its shifts, each image is moved by itself."""
    generator, coins = torch.Generator().manual_seed(seed * 1_000_003 + epoch), torch.Generator()
    order = torch.randperm(len(images), generator=generator)
    heads = torch.rand(len(images), generator=coins.manual_seed(seed)) < 0.5
    middle = (32 - augmentation.window) // 2 if augmentation.window else 0
    reach = max(augmentation.shift, middle)
    for start in range(0, len(images) - size + 1, size):
        chosen, found = order[start : start + size], []
        moves = (
            torch.randint(0, 2 * reach + 1, (2, size), generator=generator).T if reach else [(0, 0)] * size
        )
        for place, (down, right) in zip(chosen.tolist(), moves, strict=True):
            image = images.pixels[place].float()
            mode = {"black": "constant", "mirror": "reflect"}[augmentation.border]
            framed = F.pad(image[None], (reach,) * 4, mode=mode)[0] if reach else image
            length = augmentation.window or 32
            top, left = down + middle, right + middle
            window = framed[:, top : top + length, left : left + length]
            turned = augmentation.flip and bool(heads[place]) != bool(epoch % 2)
            found.append(window.flip(2) if turned else window)
        yield data.normalize(torch.stack(found).byte()), images.labels[chosen]


@pytest.mark.parametrize("border", ["black", "mirror"])
@pytest.mark.parametrize(
    ("flip", "shift", "window"),
    [(False, 0, None), (True, 0, None), (False, 3, None), (True, 2, None), (True, 1, 26), (False, 5, 30)],
)
@pytest.mark.parametrize(("seed", "epoch"), [(0, 1), (7, 4)])
def test_an_epoch_drawn_at_once_has_the_draws_of_its_steps(
    border, flip, shift, window, seed, epoch, toy_images
):
    augmentation = data.Augmentation(flip=flip, shift=shift, border=border, window=window)
    choices = {"seed": seed, "epoch": epoch, "augmentation": augmentation}
    images = toy_images.train[:100]
    expected = list(drawn_step_by_step(images, 30, **choices))
    for part in (slice(None), slice(11, 20)):
        found = list(data.batches(images, 30, shard=part, **choices))
        assert len(found) == len(expected) == 3
        for (inputs, labels), (all_inputs, all_labels) in zip(found, expected, strict=True):
            assert torch.equal(inputs, all_inputs[part]) and torch.equal(labels, all_labels[part])
            assert inputs.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize(
    ("shift", "window", "reach"),
    [(0, None, 0), (4, None, 4), (0, 28, 2), (0, 27, 2), (3, 28, 3), (1, 26, 3), (0, 31, 0)],
)
def test_a_view_moves_by_its_shift_or_within_the_image(shift, window, reach):
    assert data.Augmentation(shift=shift, window=window).reach(32) == reach


def test_the_window_reaches_every_place_of_the_image():
    pixels = torch.arange(36, dtype=torch.uint8).view(1, 1, 6, 6).expand(300, -1, -1, -1)
    images = data.Images(pixels, torch.arange(300))
    augmentation = data.Augmentation(window=2)
    ((inputs, _),) = data.batches(images, 300, seed=0, epoch=1, augmentation=augmentation)
    corners = data.normalize(torch.tensor([6 * row + column for row in range(5) for column in range(5)]))
    assert torch.equal(inputs[:, 0, 0, 0].unique(), corners)


def test_each_image_is_mirrored_in_every_second_epoch(toy_images):
    images = data.Images(toy_images.train.pixels[:100], torch.arange(100))

    def epoch(number, seed=3):
        flip = data.Augmentation(flip=True)
        parts = list(data.batches(images, 50, seed=seed, epoch=number, augmentation=flip))
        inputs, labels = (torch.cat(part) for part in zip(*parts, strict=True))
        return inputs[labels.argsort()]

    first, second, third = (epoch(number) for number in (1, 2, 3))
    assert torch.equal(first, third) and torch.equal(first, second.flip(3))
    assert not torch.equal(first, epoch(1, seed=4)) and not torch.equal(first, epoch(2, seed=4))
    as_they_are = data.normalize(images.pixels)
    unmirrored = sum(torch.equal(one, other) for one, other in zip(first, as_they_are, strict=True))
    assert 30 < unmirrored < 70


@pytest.mark.parametrize("side", [16, 24])
def test_batches_shrink_fine_stripes_as_pillow_does(side):
    stripes = torch.zeros(4, 1, 32, 32, dtype=torch.uint8)
    stripes[0, :, ::2], stripes[1, ..., ::2], stripes[2, ..., ::3], stripes[3, :, 1::4] = 255, 255, 200, 90
    images = data.Images(stripes, torch.arange(4))
    augmentation = data.Augmentation(side=side)
    ((inputs, labels),) = data.batches(images, 4, seed=0, epoch=1, augmentation=augmentation)
    assert inputs.is_contiguous(memory_format=torch.channels_last)
    for found, place in zip(inputs, labels, strict=True):
        picture = Image.fromarray(data.normalize(stripes[place, 0]).numpy())  # 32-bit floats
        expected = np.array(picture.resize((side, side), Image.Resampling.BILINEAR))
        np.testing.assert_allclose(found[0], expected, atol=1e-5)


def test_images_of_the_asked_side_are_not_resampled(toy_images):
    choices = {"seed": 0, "epoch": 1}
    plain, _ = next(data.batches(toy_images.train, 8, **choices))
    kept, _ = next(data.batches(toy_images.train, 8, augmentation=data.Augmentation(side=32), **choices))
    assert torch.equal(kept, plain)


ROWS = torch.arange(1, 17, dtype=torch.uint8).view(1, 1, 4, 4)  # 1 2 3 4 / 5 6 7 8 / 9 10 11 12 / 13 14 15 16


@pytest.mark.parametrize(
    ("shift", "border", "expected"),
    [
        ((0, 0), "black", [[1, 2, 3, 4], [5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16]]),
        ((1, 0), "black", [[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16], [0, 0, 0, 0]]),
        ((0, -2), "black", [[0, 0, 1, 2], [0, 0, 5, 6], [0, 0, 9, 10], [0, 0, 13, 14]]),
        ((0, 9), "black", [[0] * 4] * 4),
        ((1, 0), "mirror", [[5, 6, 7, 8], [9, 10, 11, 12], [13, 14, 15, 16], [9, 10, 11, 12]]),
        ((0, -2), "mirror", [[3, 2, 1, 2], [7, 6, 5, 6], [11, 10, 9, 10], [15, 14, 13, 14]]),
        ((0, 5), "mirror", [[2, 1, 2, 3], [6, 5, 6, 7], [10, 9, 10, 11], [14, 13, 14, 15]]),
    ],
)
def test_augment_moves_the_view_down_and_right(shift, border, expected):
    moved = data.augment(ROWS, torch.tensor(shift)[:, None], border=border)
    assert moved.dtype == torch.uint8 and moved[0, 0].tolist() == expected


def test_augment_mirrors_the_chosen_images_after_the_shift():
    pixels, shifts = ROWS.expand(2, -1, -1, -1), torch.tensor([[0, 1], [1, 1]])
    moved = data.augment(pixels, shifts, mirrored=torch.tensor([True, False]), side=2)
    assert moved[:, 0].tolist() == [[[8, 7], [12, 11]], [[11, 12], [15, 16]]]
    assert torch.equal(data.augment(pixels), pixels)


@pytest.mark.parametrize("side", [5, 0, -1])
def test_no_view_is_larger_than_the_images(side):
    text = f"No {side}×{side} pixels can be cut from images of 4×4: change side."
    assert refusal(data.augment, ROWS, side=side) == text


@pytest.mark.parametrize("shape", [(2,), (1, 2), (2, 3)])
def test_there_is_one_shift_for_each_image(shape):
    shifts = torch.zeros(shape, dtype=torch.int64)
    assert "Shifts are int64 [2, 1]" in refusal(data.augment, ROWS, shifts)


def test_what_is_no_batch_of_pixels_is_not_augmented():
    assert "for a single image use pixels[None]" in refusal(data.augment, ROWS[0])
    assert "torch.as_tensor(pixels)" in refusal(data.augment, ROWS.numpy())


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"window": 40}, "A window of 40 pixels does not fit into images of 32"),
        ({"shift": -1}, "shift is a whole number of at least 0, not -1."),
        ({"window": 0}, "window is a whole number of at least 1, not 0."),
        ({"side": 0}, "side is a whole number of at least 1, not 0."),
    ],
)
def test_batches_are_not_augmented_in_a_way_that_does_not_fit(changes, words, toy_images):
    found = data.batches(toy_images.train, 8, seed=0, epoch=1, augmentation=data.Augmentation(**changes))
    assert words in refusal(next, found)


@pytest.mark.parametrize("size", [0, -1])
def test_a_batch_has_an_image(size, toy_images):
    found = data.batches(toy_images.train, size, seed=0, epoch=1)
    assert refusal(next, found) == f"A batch has at least one image, not {size}."


def test_an_image_of_one_pixel_is_mirrored_at_its_border():
    assert data.augment(ROWS[..., :1, :1], torch.tensor([[1], [1]]), border="mirror").item() == 1


def test_shifts_are_drawn_from_one_end_of_the_reach_to_the_other():
    draws = data.draw_shifts(1_000, 2, torch.Generator().manual_seed(0))
    assert draws.shape == (2, 1_000) and draws.dtype == torch.int64
    assert draws.unique().tolist() == [-2, -1, 0, 1, 2]


@pytest.mark.parametrize(
    ("sizes", "words"),
    [
        ({"shift": 28}, None),
        ({"shift": 29}, "A shift of up to 29 pixels is more than the images' 28: lower `shift`"),
        ({"window": 28}, None),
        ({"window": 29}, "A window of 29 pixels does not fit into images of 28: lower `sides`"),
    ],
)
def test_augmentation_larger_than_the_images_is_refused(sizes, words):
    augmentation = data.Augmentation(**sizes)
    if words is None:
        augmentation.check((1, 28, 30))
    else:
        assert words in refusal(augmentation.check, (1, 28, 30))


def test_a_border_that_there_is_not_is_refused_and_not_taken_for_black():
    pixels = torch.zeros(2, 3, 8, 8, dtype=torch.uint8)
    text = refusal(data.augment, pixels, torch.ones(2, 2, dtype=torch.int64), border="reflect")
    assert text == "border is one of black, mirror, not 'reflect'."
