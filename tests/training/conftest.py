"""What the tests of training share."""

import pytest
import torch

from cifar_lib.system import device


@pytest.fixture
def float32(monkeypatch):
    monkeypatch.setattr(device, "training_dtype", lambda device: torch.float32)
