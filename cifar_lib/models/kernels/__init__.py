"""What makes a training step quick on a CPU. The networks' results do not depend on it, up to rounding.

Nobody needs to read this package to understand the course. `layers` holds batch norm and ReLU whose backward
pass keeps to channels-last order. A gradient often arrives as a slice of a larger tensor, for example after
a concatenation, or with a number of channels that does not fill the processor's vectors. PyTorch's results
are then right, but its batch norm takes many times as long in the backward pass: on two cores in bfloat16,
128 images of 32×32 take 0.8 ms with 16 channels, 13.8 ms with 16 channels of a slice, and 9.1 ms with 8
channels. `quicken` replaces such layers in a network.

`convolutions` and `winograd` hold several ways to compute a 3×3 convolution. `convolve` chooses one by a
short measurement, made once on each machine and kept in the cache folder; `only` fixes the choice. Both are
in `autotune`.
"""

from . import autotune, convolutions, winograd
from .autotune import WAYS, convolve, only
from .convolutions import mosaic
from .layers import quicken, take_every

__all__ = [
    "WAYS",
    "autotune",
    "convolutions",
    "convolve",
    "mosaic",
    "only",
    "quicken",
    "take_every",
    "winograd",
]
