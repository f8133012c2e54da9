"""What the order of an image's numbers in memory costs, in two operations of a training step.

Batch norm's backward pass gets its gradient once as a tensor of its own, and once as a slice of one with
twice the channels, as after a concatenation; the library's batch norm (`kernels.quicken`) puts the slice in
order first. A 3×3 convolution is taken forward and backward with its channels first and with its channels
last. One thread, and the processor's time instead of the clock's, so that other programs hardly matter.

python benchmarks/order.py
"""

import argparse
import statistics
import time

import torch
from torch import nn

from cifar_lib.models.kernels import layers
from cifar_lib.system import device as devices

CPU = torch.device("cpu")
ORDERS = {"channels first": torch.contiguous_format, "channels last": torch.channels_last}


def milliseconds(function, repeat):
    """The median of the processor's time for a call; a first call is not counted."""
    times = []
    for _ in range(repeat + 1):
        start = time.process_time()
        function()
        times.append(1e3 * (time.process_time() - start))
    return statistics.median(times[1:])


def norm_backward(make, images, channels, of, repeat):
    """Of batch norm's backward pass, for a gradient that has `channels` of the channels of a tensor."""
    norm, last = make(channels), {"memory_format": torch.channels_last}
    dtype = devices.training_dtype(CPU)
    x = torch.randn(images, channels, 32, 32).to(dtype, **last).requires_grad_()
    gradient = torch.randn(images, of, 32, 32).to(dtype, **last)[:, :channels]
    with devices.autocast(CPU, dtype):
        y = norm(x)
    inputs = (x, norm.weight, norm.bias)
    return milliseconds(lambda: torch.autograd.grad(y, inputs, gradient, retain_graph=True), repeat)


def convolution(order, dtype, images, channels, repeat):
    """Of a 3×3 convolution, forward and backward."""
    layer = nn.Conv2d(channels, channels, 3, padding=1, bias=False).to(memory_format=order)
    x = torch.randn(images, channels, 32, 32).contiguous(memory_format=order).requires_grad_()

    def both_ways():
        with devices.autocast(CPU, dtype):
            y = layer(x)
        torch.autograd.grad(y, (x, layer.weight), torch.ones_like(y))

    return milliseconds(both_ways, repeat)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--images", type=int, default=32)
    parser.add_argument("--repeat", type=int, default=40)
    arguments = parser.parse_args()
    torch.set_num_threads(1)
    torch.manual_seed(0)
    print(f"{devices.describe(CPU)}; {arguments.images} images of 32×32, milliseconds of processor time")

    print("\nbatch norm backward, 16 channels     own tensor  slice of 32")
    for name, make in (("PyTorch's", nn.BatchNorm2d), ("the library's", layers.BatchNorm)):
        own, slice_ = (norm_backward(make, arguments.images, 16, of, arguments.repeat) for of in (16, 32))
        print(f"{name:35} {own:11.2f} {slice_:12.2f}")

    print("\nconvolution, 64 channels, both ways" + "".join(f"{order:>16}" for order in ORDERS))
    for dtype in dict.fromkeys((torch.float32, devices.training_dtype(CPU))):
        times = [
            convolution(order, dtype, arguments.images, 64, arguments.repeat) for order in ORDERS.values()
        ]
        print(f"{str(dtype).removeprefix('torch.'):35}" + "".join(f"{each:16.2f}" for each in times))


if __name__ == "__main__":
    main()
