"""3×3 convolutions in the way that is quickest on the machine at hand."""

import hashlib
import json
import math
import time
from contextlib import contextmanager

import torch
import torch.nn.functional as F

from ... import CourseError
from ...data import cache_folder
from ...system import device as devices
from ...system.files import atomic_write
from . import winograd

PICTURE = 16  # height and width of the pictures that `mosaic` makes
WINOGRAD_SIDE = 16  # larger images take much memory and gain nothing (measured)
GAIN = 0.95  # another way must take less than this share of the usual one's time
_fixed = None  # the way that `only` asks for
_times = {}  # milliseconds by way, for each shape that was measured


def convolve(x, weight):
    """A 3×3 convolution of stride 1 with a border of zeros: `F.conv2d(x, weight, padding=1)`.

    Computed in the way that is quickest on this machine, which the first call with such images measures.

    Args:
        x: [N, C, H, W], quickest in channels-last order.
        weight: [O, C, 3, 3].

    Returns:
        [N, O, H, W], the values of `F.conv2d` up to rounding, in the same dtype.
    """
    return WAYS[_fixed or _quickest(x, weight)](x, weight)


@contextmanager
def only(way):
    """Within this context `convolve` takes one way of `WAYS`; `None` lets it choose again."""
    global _fixed
    before, _fixed = _fixed, way
    try:
        yield
    finally:
        _fixed = before


def usual(x, weight):
    """PyTorch's own convolution."""
    return F.conv2d(x, weight, padding=1)


def mosaic(x, weight):
    """The same from pictures of many images each, with a line of zeros between neighbours.

    A convolution of small images reads all the filters again for each of them, and its products are
    too small for a matrix unit. Measured on two cores with AMX, bfloat16, forward and backward: 1,000
    images of 384 channels and 3×3 pixels take 54 ms instead of 197, of 7×7 pixels 231 instead of 314.
    """
    height, width = x.shape[2:]
    down, across = _grid(x)
    pictures = F.conv2d(_tiled(x, down, across), weight, padding=1).permute(0, 2, 3, 1)
    tiles = pictures.unflatten(2, (across, width + 1)).unflatten(1, (down, height + 1))
    images = tiles[:, :, :height, :, :width].transpose(2, 3).flatten(0, 2)
    return images[: len(x)].permute(0, 3, 1, 2)


def mosaic_gradient(x, weight):
    """PyTorch's own, but for the gradient of the weights, which is taken from the pictures of `mosaic`.

    Measured as there: 2,000 images of 256 channels and 7×7 pixels take 190 ms, with pictures throughout
    209, without any 241.
    """
    dtype = devices.product_dtype(x)
    return _MosaicGradient.apply(x.to(dtype), weight.to(dtype))


class _MosaicGradient(torch.autograd.Function):
    @staticmethod
    def forward(context, x, weight):
        context.save_for_backward(x, weight)
        return usual(x, weight)

    @staticmethod
    def backward(context, gradient):
        x, weight = context.saved_tensors
        size = _grid(x)
        of_x, _ = _gradients(gradient, x, weight, [True, False])
        _, of_weight = _gradients(_tiled(gradient, *size), _tiled(x, *size), weight, [False, True])
        return of_x, of_weight


def _gradients(gradient, x, weight, wanted):
    """PyTorch's gradients of the inputs and of the weights of `usual`, None for one that is not wanted."""
    one = [1, 1]
    back = torch.ops.aten.convolution_backward
    return back(gradient, x, weight, None, one, one, one, False, [0, 0], 1, [*wanted, False])[:2]


def _grid(x):
    """How many images stand below one another and side by side in a picture."""
    down, across = (max(1, PICTURE // (side + 1)) for side in x.shape[2:])
    return min(down, len(x)), min(across, math.ceil(len(x) / down))


def _tiled(x, down, across):
    """Images [N, C, H, W] as pictures [N / (down · across), C, down · (H + 1), across · (W + 1)]."""
    missing = -len(x) % (down * across)
    framed = F.pad(x.permute(0, 2, 3, 1), (0, 0, 0, 1, 0, 1, 0, missing))
    rows = framed.unflatten(0, (-1, down, across)).transpose(2, 3)
    return rows.flatten(3, 4).flatten(1, 2).permute(0, 3, 1, 2)


# Each gives what `F.conv2d` gives. The first is taken where no other is clearly quicker.
WAYS = {
    "usual": usual,
    "mosaic": mosaic,
    "mosaic gradient": mosaic_gradient,
    "winograd": winograd.convolve,
}


def _quickest(x, weight):
    ways = _possible(x)
    if len(ways) == 1 or torch.compiler.is_compiling():
        return "usual"
    name = f"{list(x.shape)} {len(weight)} {devices.product_dtype(x)} {torch.get_num_threads()}".replace(
        "torch.", ""
    )
    if not _times:
        _times.update(_read())
    if name not in _times:
        _times[name] = {way: _milliseconds(WAYS[way], x, weight) for way in ways}
        _write()
    times = _times[name]
    best = min(times, key=times.get)
    return best if times[best] < GAIN * times["usual"] else "usual"


def _possible(x):
    ways = ["usual"]
    if math.prod(_grid(x)) > 1:
        ways += ["mosaic", "mosaic gradient"]
    if devices.product_dtype(x) == torch.float32 and max(x.shape[2:]) <= WINOGRAD_SIDE:
        ways.append("winograd")
    return ways


def _milliseconds(way, x, weight):
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


def _file():
    """The measurements of this processor with this version of PyTorch."""
    machine = f"{devices.cpu_name()} {torch.__version__}"
    return cache_folder() / f"kernels-{hashlib.sha256(machine.encode()).hexdigest()[:8]}.json"


def _read():
    try:
        content = json.loads(_file().read_text(encoding="utf-8"))
        return {
            name: {way: float(times[way]) for way in times if way in WAYS}
            for name, times in content.items()
            if "usual" in times
        }
    except (OSError, ValueError, TypeError, AttributeError):
        return {}  # measured anew


def _write():
    try:
        with atomic_write(_file()) as aside:
            aside.write_text(json.dumps(_read() | _times, indent=1), encoding="utf-8")
    except CourseError:
        pass  # a folder that cannot be written: the next process measures again
