"""The temperature that is fitted is the best one, and what it gives are probabilities."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from cifar_lib import CourseError, evaluate


def drawn(temperature, n=20_000, classes=5):
    """Logits, and labels that follow their softmax at a temperature."""
    torch.manual_seed(0)
    logits = 3 * torch.randn(n, classes)
    return logits, (logits / temperature).softmax(1).multinomial(1).flatten()


@pytest.mark.parametrize("temperature", [0.4, 1.0, 2.5])
def test_the_temperature_of_the_draw_is_found(temperature):
    assert evaluate.fit_temperature(*drawn(temperature)) == pytest.approx(temperature, rel=0.03)


@pytest.mark.parametrize("temperature", [0.5, 1.7])
def test_two_other_ways_find_the_same(temperature):
    """Newton's method on the inverse temperature b, where the loss is convex, and a search over a grid.

    The derivative of the mean loss by b is E(expected logit - true logit), the second one E(variance).
    """
    logits, labels = drawn(temperature, n=2_000)
    logits = logits.double()
    b = 1.0
    for _ in range(30):
        chances = (b * logits).softmax(1)
        mean = (chances * logits).sum(1)
        slope = (mean - logits.gather(1, labels[:, None]).flatten()).mean()
        curvature = ((chances * logits.square()).sum(1) - mean.square()).mean()
        b -= (slope / curvature).item()
    found = evaluate.fit_temperature(logits.float(), labels)
    assert found == pytest.approx(1 / b, rel=1e-4)

    grid = [0.3 + 0.001 * step for step in range(2_000)]
    best = min(grid, key=lambda choice: F.cross_entropy(logits / choice, labels).item())
    assert found == pytest.approx(best, abs=0.002)


def test_the_scale_of_the_logits_is_that_of_the_temperature():
    logits, labels = drawn(1.3, n=2_000)
    once, tenfold = evaluate.fit_temperature(logits, labels), evaluate.fit_temperature(4 * logits, labels)
    assert tenfold == pytest.approx(4 * once, rel=1e-3)


def test_a_network_that_is_always_right_ends_at_the_lowest_and_one_that_is_wrong_at_the_highest():
    logits = torch.eye(5).repeat(20, 1)
    labels = torch.arange(5).repeat(20)
    assert evaluate.fit_temperature(logits, labels) == pytest.approx(0.05, rel=0.01)
    assert evaluate.fit_temperature(logits, (labels + 1) % 5) == pytest.approx(20, rel=0.01)


class Sums(nn.Module):
    """Logits that are the sums of an image's channels."""

    def __init__(self):
        super().__init__()
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return x.sum((2, 3))


def test_classify_gives_the_softmax_of_the_divided_logits():
    torch.manual_seed(0)
    pixels = torch.randint(0, 256, (7, 3, 4, 4), dtype=torch.uint8)
    logits = ((pixels / 255 - 0.5) / 0.25).sum((2, 3))
    for temperature in (1.0, 4.0):
        powers = (logits / temperature).exp()
        expected = powers / powers.sum(1, keepdim=True)
        assert torch.allclose(evaluate.classify(Sums(), pixels, temperature), expected, atol=1e-5)
    assert torch.allclose(evaluate.classify(Sums(), pixels), logits.softmax(1), atol=1e-5)


@pytest.mark.parametrize("temperature", [0, -1.0, float("nan")])
def test_a_temperature_that_cannot_be_is_refused(temperature):
    with pytest.raises(CourseError, match="number above 0"):
        evaluate.classify(nn.Flatten(), torch.zeros(1, 1, 1, 1, dtype=torch.uint8), temperature)
