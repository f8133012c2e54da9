"""Evaluation mode for a while."""

from collections.abc import Iterator
from contextlib import contextmanager

from torch import nn


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
