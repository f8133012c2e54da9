"""Probabilities that can be believed: one divisor of all logits, fitted on validation images."""

import math

import torch
from scipy.optimize import minimize_scalar
from torch import Tensor, nn

from .. import CourseError
from .predictions import check_labels, loss, predict

LOWEST, HIGHEST = 0.05, 20.0


def fit_temperature(logits: Tensor, labels: Tensor) -> float:
    """The temperature by which logits have to be divided for the lowest mean cross entropy.

    Above 1 it makes a network less sure of everything, below 1 surer; no prediction changes. Fit it on
    validation images, because on test images the fit would be a part of what is being tested.

    Source: Guo et al. (2017), "On Calibration of Modern Neural Networks", section 4.2.

    Args:
        logits: float [N, classes].
        labels: int64 [N], on the device of the logits.

    Returns:
        A number from 0.05 to 20. An end means that no better one lies between them, as for a network that
        is right, or wrong, about every image.

    Raises:
        CourseError: as `top_k`.
    """
    check_labels(logits, labels)
    exact = logits.double()
    # In the logarithm, because halving the temperature and doubling it are changes of the same size.
    found = minimize_scalar(
        lambda power: loss(exact / math.exp(power), labels),
        bounds=(math.log(LOWEST), math.log(HIGHEST)),
        method="bounded",
        options={"xatol": 1e-6},
    )
    return math.exp(found.x)


def classify(network: nn.Module, pixels: Tensor, temperature: float = 1.0, views: int = 1) -> Tensor:
    """The probability of each class for each image.

    Args:
        pixels: uint8 [N, C, H, W], see `predict`; `data.photograph` makes one such image from a file.
        temperature: what the logits are divided by, see `fit_temperature`.
        views: as in `predict`.

    Returns:
        float32 [N, classes] on the CPU; each row adds up to 1.

    Raises:
        CourseError: as `predict`, or the temperature is not above 0.
    """
    if not temperature > 0:
        raise CourseError(f"A temperature is a number above 0, not {temperature!r}.")
    return torch.softmax(predict(network, pixels, views) / temperature, dim=1)
