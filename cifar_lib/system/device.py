"""Where the arithmetic happens and how precise it is: the one place that decides."""

import ctypes
import os
import sys
from contextlib import contextmanager

import torch

from .. import CourseError
from . import distributed

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # glibc's malloc.h

# Strong weight decay makes many numbers below 1e-38, which processors compute slowly: they become zero.
# Here, at import, because PyTorch's threads inherit this only when they start.
torch.set_flush_denormal(True)
# Else a GPU rounds float32 convolutions to TensorFloat-32. `cudnn.conv.fp32_precision` would do it too, but
# then PyTorch refuses to read `allow_tf32`, which some of its own parts do.
torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.deterministic = True  # else a resumed training may differ in its last bits


def select_device(name=None):
    """The device to train on: `name` ("cpu", "cuda", "cuda:1"), or the best there is.

    Of several processes on a machine each takes the GPU of its number, whether "cuda" is named or not.

    Raises:
        CourseError: the name is unknown, or CUDA is asked for where there is none.
    """
    if name is None:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    if name == "cuda" and distributed.world_size() > 1:
        name = f"cuda:{distributed.local_rank()}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise CourseError(f"{name!r} is not a device: use 'cpu', 'cuda' or 'cuda:1'.") from None
    if device.type not in ("cpu", "cuda"):
        raise CourseError(f"The course runs on 'cpu' and 'cuda', not on {name!r}.")
    if device.type == "cuda" and not torch.cuda.is_available():
        raise CourseError(
            "CUDA was asked for, but PyTorch sees no GPU here: use --device cpu, "
            "or in Colab choose Runtime > Change runtime type > GPU."
        )
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise CourseError(f"There is no {name}: this machine has {torch.cuda.device_count()} GPU(s).")
    return device


def training_dtype(device):
    """The number format of a training step's large products, the fastest that is safe.

    bfloat16 where the hardware multiplies it natively; float16 on older GPUs (its small range
    needs the gradient scaler in `train`); float32 elsewhere. Weights are always float32, and so is
    evaluation.
    """
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if native else torch.float16
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def autocast(device, dtype):
    """The context in which a training step runs its forward pass in `dtype`."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def product_dtype(x):
    """The dtype in which a product with `x` is taken here: that of `autocast` within it, else its own."""
    kind = x.device.type
    rounds = kind in ("cpu", "cuda") and torch.is_autocast_enabled(kind)
    return torch.get_autocast_dtype(kind) if rounds else x.dtype


def describe(device):
    """The device in words for a record, as '2 × CPU (its name), 1 thread, bfloat16' of two processes."""
    precision = str(training_dtype(device)).removeprefix("torch.")
    times = f"{distributed.world_size()} × " if distributed.world_size() > 1 else ""
    if device.type == "cuda":
        return f"{times}{torch.cuda.get_device_name(device)}, {precision}"
    name = f"{times}CPU ({cpu_name()})"
    threads = torch.get_num_threads()
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}, {precision}"


def keep_freed_memory():
    """Let glibc keep freed memory, for the whole process.

    By default it gives each large tensor back to the system, which costs page faults at every step.
    """
    libc = _glibc()
    if libc:
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)  # never


def give_back_memory():
    """Let glibc give back all that is free, and from now on each block of 16 MB or more when it is freed.

    By itself it comes to keep blocks of up to 32 MB, and the 10,000 test images have 31.
    """
    libc = _glibc()
    if libc:
        libc.mallopt(M_MMAP_MAX, 65_536)  # its own value
        libc.mallopt(M_MMAP_THRESHOLD, 16 * 2**20)
        libc.mallopt(M_TRIM_THRESHOLD, 32 * 2**20)
        libc.malloc_trim(0)


@contextmanager
def memory_given_back():
    """Decorates what calls `keep_freed_memory`: freed memory is given back before it and after it."""
    give_back_memory()
    try:
        yield
    finally:
        give_back_memory()


def _glibc():
    """The C library, where it is glibc; else None."""
    try:
        return ctypes.CDLL("libc.so.6") if sys.platform == "linux" else None
    except OSError:
        return None


def cpu_name():
    """What the system calls the processor."""
    if os.path.exists("/proc/cpuinfo"):
        with open("/proc/cpuinfo") as file:
            for line in file:
                if line.startswith("model name"):
                    return line.split(":", 1)[1].strip()
    return "unknown model"


give_back_memory()
