"""A network and how it was trained."""

from dataclasses import dataclass, field
from typing import Any

from torch import nn

from .version import CODE_VERSION


@dataclass
class Trained:
    """A network and how it was trained.

    Args:
        model: the network.
        history: one entry per epoch, see `train`.
        seconds: the time of all epochs together, training and validation.
        code: the version of the code that trained it, see `code_version`.
        device: the device that trained it, in words. Where a training was resumed by another version or on
            another device, both name all of them: "CPU (…), then NVIDIA …".
    """

    model: nn.Module
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    code: str = CODE_VERSION
    device: str = ""
