"""The changed forms of the images, by numbers that are worked out by hand or by another way."""

import fakes
import numpy as np
import pytest
import torch
from PIL import Image
from refusals import refusal

from cifar_lib import data


def one_image(rows):
    """A single image of one channel with these rows of pixels."""
    pixels = torch.tensor(rows, dtype=torch.uint8)[None, None]
    return data.Images(pixels, torch.tensor([3]))


@pytest.mark.parametrize(("right", "down"), [(0, 0), (3, 0), (-2, 1), (0, -5), (31, 31)])
def test_shift_moves_every_pixel_and_fills_with_black(right, down):
    images = fakes.as_images(fakes.images(2))
    moved = data.shift(images, right, down)
    for y in range(32):
        for x in range(32):
            inside = 0 <= y - down < 32 and 0 <= x - right < 32
            expected = images.pixels[:, :, y - down, x - right] if inside else torch.zeros(2, 3)
            assert torch.equal(moved.pixels[:, :, y, x].float(), expected.float())
    assert torch.equal(moved.labels, images.labels)


def test_shuffle_pixels_is_one_permutation_for_all():
    images = fakes.as_images(fakes.images(3))
    for seed in (0, 1):
        order = torch.randperm(1024, generator=torch.Generator().manual_seed(seed))
        shuffled = data.shuffle_pixels(images, seed)
        assert torch.equal(shuffled.pixels.flatten(2), images.pixels.flatten(2)[..., order])
        assert torch.equal(shuffled.labels, images.labels)
    assert fakes.same(data.shuffle_pixels(images), data.shuffle_pixels(images, 0))


def test_grey_is_the_brightness_of_each_pixel():
    colours = [[200, 100, 50], [255, 255, 255], [0, 0, 7], [255, 0, 0], [0, 255, 0], [0, 0, 255]]
    pixels = torch.tensor(colours, dtype=torch.uint8).view(6, 3, 1, 1)
    turned = data.grey(data.Images(pixels, torch.arange(6)))
    assert turned.pixels.shape == (6, 1, 1, 1)
    assert turned.pixels.dtype == torch.uint8
    # 0.299 · 200 + 0.587 · 100 + 0.114 · 50 = 124.2; 0.798; 76.245; 149.685; 29.07
    assert turned.pixels.flatten().tolist() == [124, 255, 1, 76, 150, 29]
    assert turned.labels.tolist() == list(range(6))


def test_resize_weights_the_pixels_by_their_distance():
    # From 4 to 2 pixels, the weights of the first are (3, 3, 1, 0) / 7, those of the second (0, 1, 3, 3) / 7:
    # 404 / 7 = 57.7 and 681 / 7 = 97.3.
    small = data.resize(one_image([[100, 30, 14, 203]] * 4), side=2)
    assert small.pixels.dtype == torch.uint8
    assert small.pixels.tolist() == [[[[58, 97], [58, 97]]]]
    turned = data.resize(one_image([[value] * 4 for value in (100, 30, 14, 203)]), side=2)
    assert turned.pixels.tolist() == [[[[58, 58], [97, 97]]]]
    assert small.labels.tolist() == [3]


def test_resize_agrees_with_pillow_at_the_size_of_mnist():
    pixels, labels = fakes.images(8)
    expected = [
        np.array(Image.fromarray(image.transpose(1, 2, 0)).resize((28, 28), Image.Resampling.BILINEAR))
        for image in pixels
    ]
    found = data.resize(fakes.as_images((pixels, labels))).pixels.permute(0, 2, 3, 1)
    assert np.abs(found.numpy().astype(int) - np.stack(expected)).max() <= 1


def test_every_moved_digit_is_the_digit_shifted_within_reach():
    digits = data.load("digits").test
    moved = data.shift_randomly(digits)
    found = torch.zeros(len(digits), dtype=torch.bool)
    used = set()
    for right in range(-6, 7):
        for down in range(-6, 7):
            same_pixels = (data.shift(digits, right, down).pixels == moved.pixels).flatten(1).all(1)
            found |= same_pixels
            used |= {(right, down)} if same_pixels.any() else set()
    assert found.all()
    assert len(used) > 100  # each image has its own draw
    assert {right for right, _ in used} == {down for _, down in used} == set(range(-6, 7))
    assert torch.equal(moved.labels, digits.labels)


@pytest.mark.parametrize("change", [data.shift_randomly, data.colour_noise])
def test_shifts_and_noise_follow_from_the_seed(change):
    digits = data.load("digits").test
    torch.rand(3)
    assert fakes.same(change(digits), change(digits, seed=0))
    assert not torch.equal(change(digits).pixels, change(digits, seed=1).pixels)


def test_noise_mixes_a_colour_per_image_and_noise_per_pixel_by_the_ink():
    """The definition for each image by itself, with the draws of 5,000 images at a time."""
    n = 5_002
    ink = np.random.default_rng(0).integers(0, 256, (n, 1, 2, 3), dtype=np.uint8)
    ink[0] = [[[0, 0, 0], [255, 255, 255]]]
    generator = torch.Generator().manual_seed(4)
    colours, noises = [], []
    for part in (5_000, 2):
        colours.append(torch.rand(part, 3, 1, 1, generator=generator).double())
        noises.append(torch.rand(part, 3, 2, 3, generator=generator).double())
    colour, noise = torch.cat(colours).numpy(), torch.cat(noises).numpy()
    expected = np.round(ink * colour + (255.0 - ink) * noise)
    painted = data.colour_noise(data.Images(torch.from_numpy(ink), torch.arange(n)), seed=4)
    assert painted.pixels.dtype == torch.uint8
    difference = np.abs(painted.pixels.numpy() - expected)
    assert difference.max() <= 1 and (difference > 0).mean() < 0.001  # float32 rounds a tie otherwise
    assert len({tuple(pixel) for pixel in painted.pixels[0, :, 1].T.tolist()}) == 1  # all ink: one colour
    assert torch.equal(painted.labels, torch.arange(n))


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("toy/shuffled", (3, 32, 32)),
        ("toy/grey", (1, 32, 32)),
        ("toy/28x28", (3, 28, 28)),
        ("toy/grey-28x28", (1, 28, 28)),
        ("digits/moved", (1, 28, 28)),
        ("digits/noise", (3, 28, 28)),
        ("digits/moved-noise", (3, 28, 28)),
    ],
)
def test_the_variants_by_their_names(name, shape):
    base, _, variant = name.partition("/")
    original, changed = data.load(base), data.load(name)
    assert (changed.name, changed.fingerprint) == (name, f"{original.fingerprint}/{variant}")
    assert changed.shape == shape
    in_turn = {
        "shuffled": [data.shuffle_pixels],
        "grey": [data.grey],
        "28x28": [data.resize],
        "grey-28x28": [data.grey, data.resize],
        "moved": [data.shift_randomly],
        "noise": [data.colour_noise],
        "moved-noise": [data.shift_randomly, data.colour_noise],
    }
    for one, other in ((original.train, changed.train), (original.test, changed.test)):
        for change in in_turn[variant]:
            one = change(one)
        assert fakes.same(one, other)


def test_scale_randomly_draws_a_size_for_each_image_and_keeps_it_in_the_middle():
    white = data.Images(torch.full((200, 1, 8, 8), 255, dtype=torch.uint8), torch.arange(200) % 10)
    scaled = data.scale_randomly(white)
    assert torch.equal(scaled.labels, white.labels)
    drawn = (scaled.pixels[:, 0] == 255).sum((1, 2)).sqrt()  # of a white image a white square is left
    assert set(drawn.tolist()) == {4, 5, 6, 7, 8}
    for image, side in zip(scaled.pixels[:, 0], drawn.int().tolist(), strict=True):
        start = (8 - side) // 2
        assert (image[start : start + side, start : start + side] == 255).all()
    assert fakes.same(scaled, data.scale_randomly(white, seed=0))
    assert not fakes.same(scaled, data.scale_randomly(white, seed=1))


def test_only_square_images_are_scaled():
    oblong = data.Images(torch.zeros(4, 1, 8, 6, dtype=torch.uint8), torch.zeros(4, dtype=torch.int64))
    text = "Only square images can be scaled, not 8×6: make them square first."
    assert refusal(data.scale_randomly, oblong) == text


@pytest.mark.parametrize("smallest", [0, -0.5, 2])
def test_images_are_scaled_to_a_share_of_their_size(smallest):
    assert "a share above 0 and at most 1" in refusal(data.scale_randomly, one_image([[1]]), smallest)


def test_images_may_be_scaled_down_to_one_pixel():
    white = data.Images(torch.full((50, 1, 4, 4), 255, dtype=torch.uint8), torch.zeros(50).long())
    sums = data.scale_randomly(white, 0.01).pixels.long().sum((1, 2, 3)) // 255
    assert set(sums.tolist()) == {1, 4, 9, 16}


def test_shuffle_labels_keeps_the_images_and_how_often_each_label_occurs():
    images = fakes.as_images(fakes.images(50))
    dealt = data.shuffle_labels(images)
    assert torch.equal(dealt.pixels, images.pixels)
    assert torch.equal(dealt.labels.sort().values, images.labels.sort().values)
    assert not torch.equal(dealt.labels, images.labels)
    assert not torch.equal(dealt.labels, data.shuffle_labels(images, seed=1).labels)
