"""What importing `device` sets, for this process and its threads."""

import subprocess
import sys

import torch

from cifar_lib import device  # noqa: F401

SMALL = """
import torch
from cifar_lib import device
torch.set_num_threads(2)
numbers = torch.full((1_000_000,), 1e-20)
print(int((numbers + 1).sum()), int((numbers * 1e-20).count_nonzero()))
"""


def test_every_thread_takes_tiny_numbers_for_zero():
    done = subprocess.run([sys.executable, "-c", SMALL], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["1000000", "0"]


def test_float32_is_float32_on_a_gpu_too():
    """And PyTorch lets its own parts and other programs read it: of some settings it says they contradict."""
    assert not torch.backends.cudnn.allow_tf32
    assert torch.backends.cudnn.conv.fp32_precision != "tf32"
    assert torch.backends.cudnn.deterministic
    with torch.backends.cudnn.flags(enabled=False):
        pass
