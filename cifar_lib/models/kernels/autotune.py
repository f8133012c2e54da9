"""The choice among several ways to convolve, by a short measurement on the machine at hand."""

import hashlib
import json
import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor

from ... import CourseError
from ...data import cache_folder
from ...system import device as devices
from ...system.files import atomic_write
from . import convolutions, winograd

Way = Callable[[Tensor, Tensor], Tensor]

# The first is taken where no other is clearly quicker.
WAYS: dict[str, Way] = {
    "usual": convolutions.usual,
    "mosaic": convolutions.mosaic,
    "mosaic gradient": convolutions.mosaic_gradient,
    "winograd": winograd.convolve,
}
WINOGRAD_SIDE = 16  # larger images take much memory and gain nothing (measured)
GAIN = 0.95  # another way must take less than this share of the usual one's time
_fixed: str | None = None  # the way that `only` asks for
_times: dict[str, dict[str, float]] = {}  # milliseconds by way, for each shape that was measured


def convolve(x: Tensor, weight: Tensor) -> Tensor:
    """A 3×3 convolution of stride 1 with a border of zeros: `F.conv2d(x, weight, padding=1)`.

    It is computed in the way that is quickest on this machine, forward and backward together. The first call
    with images of a new shape measures that, which takes about a dozen passes. Where PyTorch keeps no
    gradients, it is PyTorch's own convolution, and nothing is measured.

    Args:
        x: [N, C, H, W], quickest in channels-last order.
        weight: [O, C, 3, 3].

    Returns:
        [N, O, H, W], the values of `F.conv2d` up to rounding, in the same dtype.
    """
    return WAYS[_fixed or _quickest(x, weight)](x, weight)


@contextmanager
def only(way: str) -> Iterator[None]:
    """Within this context `convolve` takes this one of `WAYS` and measures nothing.

    Raises:
        CourseError: there is no such way.
    """
    if way not in WAYS:
        raise CourseError(f"There is no way {way!r} to convolve: choose one of {', '.join(WAYS)}.")
    global _fixed
    before, _fixed = _fixed, way
    try:
        yield
    finally:
        _fixed = before


def _quickest(x: Tensor, weight: Tensor) -> str:
    ways = _possible(x)
    if len(ways) == 1 or not torch.is_grad_enabled() or torch.compiler.is_compiling():
        return "usual"  # what is timed has a backward pass, and a compiler cannot take the time
    dtype = str(devices.product_dtype(x)).removeprefix("torch.")
    name = f"{list(x.shape)} {len(weight)} {dtype} {torch.get_num_threads()}"
    if not _times:
        _times.update(_read())
    if name not in _times:
        _times[name] = {way: _milliseconds(WAYS[way], x, weight) for way in ways}
        _write()
    times = _times[name]
    best = min(times, key=lambda way: times[way])
    return best if times[best] < GAIN * times["usual"] else "usual"


def _possible(x: Tensor) -> list[str]:
    """The ways that may be quicker for such images, "usual" among them."""
    ways = ["usual"]
    if math.prod(convolutions.grid(x)) > 1:
        ways += ["mosaic", "mosaic gradient"]
    if devices.product_dtype(x) == torch.float32 and max(x.shape[2:]) <= WINOGRAD_SIDE:
        ways.append("winograd")
    return ways


def _milliseconds(way: Way, x: Tensor, weight: Tensor) -> float:
    """The quicker of two passes forward and backward, after one to warm up."""
    x = x.detach().requires_grad_()
    weight = weight.detach().requires_grad_()
    times = []
    for _ in range(3):
        start = time.perf_counter()
        y = way(x, weight)
        torch.autograd.grad(y, (x, weight), torch.ones_like(y))
        times.append(time.perf_counter() - start)
    return round(1e3 * min(times[1:]), 3)


def _file() -> Path:
    """Where the measurements of this processor with this version of PyTorch are kept."""
    machine = f"{devices.cpu_name()} {torch.__version__}"
    return cache_folder() / f"kernels-{hashlib.sha256(machine.encode()).hexdigest()[:8]}.json"


def _read() -> dict[str, dict[str, float]]:
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
        return {
            name: {way: float(times[way]) for way in times if way in WAYS}
            for name, times in content.items()
            if "usual" in times
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # missing or damaged: this process measures again


def _write() -> None:
    try:
        with atomic_write(_file()) as aside:
            aside.write_text(json.dumps(_read() | _times, indent=1), encoding="utf-8")
    except CourseError:
        pass  # the folder cannot be written: the next process measures again
