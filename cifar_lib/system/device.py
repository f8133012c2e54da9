"""The device and the precision of the arithmetic, which are decided here and nowhere else."""

import ctypes
import gc
import re
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import torch

from .. import CourseError
from . import distributed

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD, M_MMAP_MAX = -1, -3, -4  # glibc's malloc.h
CPU_INFO = Path("/proc/cpuinfo")  # on Linux alone

# Strong weight decay leaves many numbers below 1e-38, with which processors compute slowly: they become zero.
# This is set at import, because PyTorch's threads inherit it only when they start.
torch.set_flush_denormal(True)
# Otherwise a GPU rounds the inputs of float32 convolutions to TensorFloat-32. `cudnn.conv.fp32_precision`
# would prevent that too, but then PyTorch refuses to read `allow_tf32`, which some of its own parts do.
torch.backends.cudnn.allow_tf32 = False
torch.backends.cudnn.deterministic = True  # otherwise a resumed training may differ in its last bits


def select_device(name: str | None = None) -> torch.device:
    """The device to train on: `name` ("cpu", "cuda", "cuda:1"), or by default a GPU where there is one.

    Several processes on one machine use one GPU each, that of their local rank, by default and for "cuda".
    A GPU for which this PyTorch has no code counts by default as none.

    Raises:
        CourseError: the name is unknown, the machine has no such GPU, or one that is too old, or several
            processes of this machine would share it.
    """
    given = name
    if name is None:
        name = "cuda" if torch.cuda.is_available() and not _is_too_old(_own_gpu()) else "cpu"
    if name == "cuda" and distributed.world_size() > 1:
        name = f"cuda:{distributed.local_rank()}"
    try:
        device = torch.device(name)
    except RuntimeError:
        raise CourseError(f"{name!r} is not a device: use 'cpu', 'cuda' or 'cuda:1'.") from None
    if device.type == "cpu":
        return device
    if device.type != "cuda":
        raise CourseError(f"The course runs on 'cpu' and 'cuda', not on {name!r}.")
    if not torch.cuda.is_available():
        raise CourseError(
            "CUDA was asked for, but PyTorch sees no GPU here: use --device cpu, "
            "or in Colab choose Runtime > Change runtime type > GPU."
        )
    if (device.index or 0) >= torch.cuda.device_count():
        raise CourseError(f"There is no {name}: this machine has {torch.cuda.device_count()} GPU(s).")
    if name == given and distributed.local_world_size() > 1:
        raise CourseError(
            f"{distributed.local_world_size()} processes cannot share {name}: use --device cuda, so that "
            f"each takes a GPU of its own."
        )
    if _is_too_old(device):
        raise CourseError(
            f"{torch.cuda.get_device_name(device)} is too old for this PyTorch ({torch.__version__}): use "
            f"--device cpu, or install a PyTorch that still supports it."
        )
    return device


def _own_gpu() -> torch.device:
    """The GPU that this process takes by default, if there is one of that number, else the first."""
    number = distributed.local_rank()
    return torch.device("cuda", number if number < torch.cuda.device_count() else 0)


def _is_too_old(device: torch.device) -> bool:
    """Whether all code in this PyTorch is for newer GPUs. `torch.cuda.is_available` does not ask."""
    names = torch.cuda.get_arch_list()  # as sm_75, sm_90a; other makers' have other names
    built_for = [int(re.sub(r"\D", "", name)) for name in names if name.startswith(("sm_", "compute_"))]
    major, minor = torch.cuda.get_device_capability(device)
    return bool(built_for) and 10 * major + minor < min(built_for)


def training_dtype(device: torch.device) -> torch.dtype:
    """The dtype of the matrix products and convolutions of a training step: the fastest that is safe.

    It is bfloat16 where the hardware multiplies it natively, float16 on older GPUs (whose small range needs
    the gradient scaler of `training.train_epoch`) and float32 elsewhere. Weights and evaluation are always
    float32.
    """
    if device.type == "cuda":
        native = torch.cuda.get_device_capability(device) >= (8, 0)
        return torch.bfloat16 if native else torch.float16
    return torch.bfloat16 if torch.cpu._is_avx512_bf16_supported() else torch.float32


def autocast(device: torch.device, dtype: torch.dtype) -> torch.autocast:
    """The context in which a training step runs its forward pass in `dtype`; without effect for float32."""
    return torch.autocast(device.type, dtype, enabled=dtype != torch.float32)


def product_dtype(x: torch.Tensor) -> torch.dtype:
    """The dtype of a product with `x`: within `autocast` the one given there, elsewhere that of `x`."""
    kind = x.device.type
    rounds = kind in ("cpu", "cuda") and torch.is_autocast_enabled(kind)
    return torch.get_autocast_dtype(kind) if rounds else x.dtype


def describe(device: torch.device) -> str:
    """The device in words, for a record: for two processes '2 × CPU (model name), 1 thread, bfloat16'."""
    precision = str(training_dtype(device)).removeprefix("torch.")
    times = f"{distributed.world_size()} × " if distributed.world_size() > 1 else ""
    if device.type == "cuda":
        return f"{times}{torch.cuda.get_device_name(device)}, {precision}"
    name = f"{times}CPU ({cpu_name()})"
    threads = torch.get_num_threads()
    return f"{name}, {threads} thread{'s' if threads > 1 else ''}, {precision}"


def keep_freed_memory() -> None:
    """Let glibc keep freed memory, for the whole process.

    By default it returns each large tensor to the system, which costs page faults at every step.
    """
    libc = _glibc()
    if libc:
        libc.mallopt(M_MMAP_MAX, 0)
        libc.mallopt(M_TRIM_THRESHOLD, -1)  # never return the end of the heap


def give_back_memory() -> None:
    """Let glibc return all free memory to the system, and from now on each block of 16 MB or more once freed.

    Otherwise it raises that limit by itself up to 32 MB, and the 10,000 test images take 31 MB.
    """
    libc = _glibc()
    if libc:
        libc.mallopt(M_MMAP_MAX, 65_536)  # the default
        libc.mallopt(M_MMAP_THRESHOLD, 16 * 2**20)
        libc.mallopt(M_TRIM_THRESHOLD, 32 * 2**20)
        libc.malloc_trim(0)


@contextmanager
def memory_given_back() -> Iterator[None]:
    """A context or decorator for what calls `keep_freed_memory`: memory is returned before and after it."""
    give_back_memory()
    try:
        yield
    finally:
        give_back_memory()


@contextmanager
def gpu_memory_in_words() -> Iterator[None]:
    """A context or decorator for what computes on a GPU.

    What the failed computation held is let go, so that a smaller one may follow.

    Raises:
        CourseError: in the place of PyTorch's error that the GPU's memory does not suffice.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        traceback.clear_frames(error.__traceback__)
        gc.collect()
        raise CourseError(
            "The GPU has too little free memory for this: end other programs that use it, lower batch_size, "
            "or use --device cpu."
        ) from error


def _glibc() -> ctypes.CDLL | None:
    """The C library if it is glibc, which has the functions above; otherwise None."""
    try:
        return ctypes.CDLL("libc.so.6") if sys.platform == "linux" else None
    except OSError:
        return None


def cpu_name() -> str:
    """The processor's model name on Linux; "unknown model" elsewhere."""
    if CPU_INFO.exists():
        for line in CPU_INFO.read_text().splitlines():
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown model"


give_back_memory()  # at import, so that reading the images already runs with this limit
