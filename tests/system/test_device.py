"""What importing `device` sets, for this process and its threads."""

import subprocess
import sys

import pytest
import torch

from cifar_lib.system import device  # noqa: F401

SMALL = """
import torch
from cifar_lib.system import device
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


@pytest.mark.skipif(sys.platform != "linux", reason="glibc alone is told to keep memory")
def test_memory_is_kept_for_a_while_and_then_given_back():
    program = (
        "import torch\n"
        "from cifar_lib.system import device\n"
        "def resident():\n"
        "    return int(open('/proc/self/statm').read().split()[1]) * 4096 / 2**20\n"
        "def fill_and_free():\n"
        "    many = [torch.ones(2**20) for _ in range(50)]  # 4 MB each\n"
        "before = resident()\n"
        "with device.memory_given_back():\n"
        "    device.keep_freed_memory()\n"
        "    fill_and_free()\n"
        "    print(resident() - before)\n"
        "print(resident() - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    kept, left = (float(line) for line in done.stdout.split())
    assert kept > 150 and left < 50
