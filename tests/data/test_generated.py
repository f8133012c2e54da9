"""The data sets that need no files."""

import pytest
import torch
from sklearn.datasets import load_digits

from cifar_lib.data import generated


@pytest.mark.parametrize(
    ("name", "shape", "n_train", "n_test"),
    [("toy", (3, 32, 32), 2_000, 500), ("digits", (1, 28, 28), 1_500, 297)],
)
def test_generated_images_are_the_same_each_time(name, shape, n_train, n_test):
    make = {"toy": generated.toy, "digits": generated.digits}[name]
    one = make()
    torch.rand(3)
    other = make()
    assert (one.name, one.shape, one.source) == (name, shape, "generator")
    assert (len(one.train), len(one.test), len(one.classes)) == (n_train, n_test, 10)
    assert one.train.pixels.dtype == torch.uint8 and one.train.labels.dtype == torch.int64
    assert one.train.labels.unique().tolist() == one.test.labels.unique().tolist() == list(range(10))
    assert one.fingerprint == other.fingerprint
    assert torch.equal(one.test.pixels, other.test.pixels)
    known = {image.numpy().tobytes() for image in one.train.pixels}
    assert len(known & {image.numpy().tobytes() for image in one.test.pixels}) <= n_test // 100


def test_toys_of_any_number_have_each_class_in_turn():
    toys = generated.toy(25, 12)
    assert toys.train.labels.tolist() == [i % 10 for i in range(25)]
    assert toys.test.labels.tolist() == [i % 10 for i in range(12)]
    equal = generated.toy(20, 20)
    assert not torch.equal(equal.train.pixels, equal.test.pixels)


@pytest.mark.parametrize(
    ("name", "inside", "outside"),
    [
        ("disk", [(0, 0), (0.9, 0)], [(1, 0), (0.9, 0.9)]),
        ("ring", [(0.75, 0), (0, -0.9)], [(0, 0), (0.45, 0)]),
        ("square", [(0, 0), (0.8, 0.8)], [(0.9, 0), (0, -0.9)]),
        ("frame", [(0.7, 0), (0.9, 0.9)], [(0, 0), (0.45, 0.45), (1, 0)]),
        ("triangle", [(0, -0.9), (0.8, 0.7)], [(0.5, -0.5), (0, 0.9)]),
        ("plus", [(0.9, 0), (0, 0.9), (0, 0)], [(0.5, 0.5), (1.1, 0)]),
        ("cross", [(0.5, 0.5), (-0.5, 0.5), (0, 0)], [(0.9, 0), (0, 0.9)]),
        ("star", [(0, 0), (0, -1)], [(0, 1), (1, 0)]),
        ("crescent", [(-0.8, 0), (0, 0.9)], [(0.5, 0), (0, 1.1)]),
        ("hourglass", [(0, 0.8), (0.5, 0.8)], [(0.5, 0), (0, 1)]),
    ],
)
def test_each_shape_has_its_own_form(name, inside, outside):
    """Points (x, y) of a shape of radius 1 at the origin, y downwards."""
    mask = generated.SHAPES[generated.TOY_CLASSES.index(name)]
    x, y = torch.tensor(inside + outside, dtype=torch.float32).T
    assert mask(x, y).tolist() == [True] * len(inside) + [False] * len(outside)


def test_toys_differ_in_place_size_and_colour():
    """Squares: where a bright shape lies on a dark ground, its centre and its area follow from its pixels."""
    toys = generated.toy(1_000, 10).train
    squares = toys[toys.labels == generated.TOY_CLASSES.index("square")].pixels.double() / 255
    shape = squares.mean(1) > 0.5
    area = shape.sum((1, 2)).double()
    places = torch.arange(32).double() - 15.5
    for centre in ((shape.sum(1) * places).sum(1) / area, (shape.sum(2) * places).sum(1) / area):
        assert 4.5 < centre.abs().max() < 6.5 and centre.mean().abs() < 1  # drawn from -5 to 5
    # A square of side 2 · 0.85 · radius, the radius from 8 to 12.
    assert 150 < area.min() < 230 and 360 < area.max() < 430
    inside = torch.stack([image[:, mask].mean(1) for image, mask in zip(squares, shape, strict=True)])
    assert 0.49 < inside.min() < 0.6 and 0.9 < inside.max() < 1


def test_digits_are_those_of_scikit_learn_enlarged_and_centred():
    digits = generated.digits()
    pixels = torch.cat([digits.train.pixels, digits.test.pixels])
    assert not pixels[:, :, :4].any() and not pixels[:, :, 24:].any()
    assert not pixels[..., :4].any() and not pixels[..., 24:].any()
    assert pixels.max() == 255
    bunch = load_digits()
    labels = torch.cat([digits.train.labels, digits.test.labels])
    assert labels.bincount().tolist() == torch.from_numpy(bunch.target).bincount().tolist()
    # Bilinear enlargement keeps the mean up to rounding and the borders' weights.
    for digit in range(10):
        mean = pixels[labels == digit].double().mean() * 28**2 / 20**2
        assert mean == pytest.approx(bunch.images[bunch.target == digit].mean() * 255 / 16, rel=0.02)
