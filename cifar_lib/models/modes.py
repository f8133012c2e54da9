"""Where a network is, and evaluation mode for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


def device_of(model: nn.Module) -> torch.device:
    """Where a network's weights are; the CPU for one that has none."""
    return next((weights.device for weights in model.parameters()), torch.device("cpu"))


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """A context in which the network is in evaluation mode; it gives each layer its own mode back.

    `model.train(model.training)` would give all layers that of the whole. A batch norm may be in another,
    so that its averages stay.
    """
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield
    finally:
        for module, training in modes.items():
            module.training = training
