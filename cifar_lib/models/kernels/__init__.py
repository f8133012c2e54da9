"""What makes a training step quick on a CPU; no network's result depends on it, up to rounding.

Nobody needs to read this room to understand the course. `layers` holds batch norm and ReLU whose backward
pass keeps to channels-last order: a gradient often arrives as a slice of a larger tensor, for example after
a concatenation, or with a number of channels that does not fill the processor's vectors. PyTorch's results
are then right, but its batch norm takes many times as long in the backward pass (measured on two cores in
bfloat16: 128 images of 32×32 with 16 channels take 0.8 ms, as a slice 13.8 ms; with 8 channels they take
9.1 ms). `quicken` replaces such layers in a network.

`convolutions` holds several ways to compute a 3×3 convolution. `convolve` chooses one by a short
measurement, made once on each machine and kept in the cache folder; `only` fixes the choice.
"""

from . import winograd
from .convolutions import WAYS, convolve, mosaic, mosaic_gradient, only, usual
from .layers import quicken, take_every

__all__ = [
    "WAYS",
    "convolve",
    "mosaic",
    "mosaic_gradient",
    "only",
    "quicken",
    "take_every",
    "usual",
    "winograd",
]
