"""A trained network as a list of steps and a file of weights, for `book/_static/live/network/engine.js`.

There are five kinds of step, because a trained batch norm is a scale and a shift of the convolution before
it, and a fully connected layer is a convolution as large as its input. The filters are stored as float16, and
beside them the scale and the bias of each channel as float32, so that weights which are float16 already lose
nothing.
"""

import numpy as np
import torch
from torch import nn

from cifar_lib import models

BLOCK = 8  # output channels that the kernel computes at once
IMAGE = (32, 32, 3)


class Steps:
    """The steps of a network and their weights, collected in order.

    A step is known by its number, from 1; the image is 0. Shapes are (rows, columns, channels).
    """

    def __init__(self):
        self.steps = []
        self.shapes = [IMAGE]
        self.halves = []
        self.singles = []

    @property
    def counts(self):
        """How many float16 and how many float32 there are."""
        return [sum(map(len, numbers)) for numbers in (self.halves, self.singles)]

    def add(self, op, origins, shape, **fields):
        self.steps.append({"op": op, "from": origins, "shape": list(shape), **fields})
        self.shapes.append(tuple(shape))
        return len(self.steps)

    def convolution(self, origin, layer, norm=None):
        """A convolution or fully connected layer, with the batch norm behind it if there is one."""
        rows, columns, channels = self.shapes[origin]
        weight = layer.weight.detach()
        if isinstance(layer, nn.Linear):  # its inputs are in the order of channels, rows, columns
            weight = weight.view(len(weight), channels, rows, columns)
            kernel, stride, pad = rows, 1, 0
        else:
            kernel, stride, pad = layer.kernel_size[0], layer.stride[0], layer.padding[0]
        scale, bias = folded(layer, norm)
        # A power of two brings the largest weight of each channel near 1: float16 has no room for those that
        # weight decay has made tiny, and batch norm large again.
        largest = weight.flatten(1).abs().amax(1).clamp(min=torch.finfo(torch.float32).tiny)
        power = 2.0 ** largest.log2().ceil()
        weight, scale = weight / power[:, None, None, None], scale * power
        missing = -len(weight) % BLOCK
        weight = nn.functional.pad(weight, (0, 0, 0, 0, 0, 0, 0, missing))
        scale, bias = (nn.functional.pad(part, (0, missing)) for part in (scale, bias))
        blocks = weight.unflatten(0, (-1, BLOCK)).permute(0, 3, 4, 2, 1)
        weights, channels = self.counts
        self.halves.append(blocks.half().flatten().numpy())
        self.singles.append(torch.cat([scale, bias]).float().numpy())
        shape = ((rows + 2 * pad - kernel) // stride + 1, (columns + 2 * pad - kernel) // stride + 1)
        return self.add(
            "conv",
            [origin],
            (*shape, len(weight)),
            kernel=kernel,
            stride=stride,
            pad=pad,
            weights=weights,
            channels=channels,
        )

    def activation(self, kind, origin, label):
        return self.add(kind, [origin], self.shapes[origin], label=label)

    def largest(self, origin, kernel):
        rows, columns, channels = self.shapes[origin]
        return self.add("max", [origin], (rows // kernel, columns // kernel, channels), kernel=kernel)

    def concatenate(self, origins):
        rows, columns, _ = self.shapes[origins[0]]
        channels = sum(self.shapes[origin][2] for origin in origins)
        return self.add("concat", origins, (rows, columns, channels))

    def model(self):
        """What stands in the JSON file: the steps, and how many float16 come before the float32."""
        return {"steps": self.steps, "halves": self.counts[0]}

    def weights(self):
        """The file of weights: little-endian float16, up to a multiple of four bytes, then float32."""
        halves = np.concatenate(self.halves).astype("<f2").tobytes()
        return halves + bytes(-len(halves) % 4) + np.concatenate(self.singles).astype("<f4").tobytes()


def folded(layer, norm):
    """The scale and the bias of each channel of a layer, with the batch norm behind it."""
    bias = torch.zeros(len(layer.weight)) if layer.bias is None else layer.bias.detach()
    if norm is None:
        return torch.ones_like(bias), bias
    scale = norm.weight.detach() / (norm.running_var + norm.eps).sqrt()
    return scale, norm.bias.detach() + (bias - norm.running_mean) * scale


def steps_of(network):
    """A trained network as `Steps`, whose last step gives the logits.

    Raises:
        TypeError: the page has no steps for a network of this kind.
    """
    steps = Steps()
    for kind, add in ((models.MLP, add_mlp), (models.SkipCNN, add_skip), (models.FastCNN, add_fast)):
        if isinstance(network, kind):
            add(steps, network.eval())
            return steps
    raise TypeError(f"The page cannot run a {type(network).__name__}.")


def add_mlp(steps, network):
    *hidden, last = [layer for layer in network.layers if isinstance(layer, nn.Linear)]
    x = 0
    for number, layer in enumerate(hidden, 1):
        label = "hidden layer" if len(hidden) == 1 else f"hidden layer {number}"
        x = steps.activation("relu", steps.convolution(x, layer), label)
    steps.convolution(x, last)


def add_skip(steps, network):
    def block(origin, number):
        conv, norm = getattr(network, f"conv{number}"), getattr(network, f"bn_conv{number}")
        out = steps.convolution(origin, conv, norm)
        return out, steps.activation("relu", out, f"conv{number}")

    bn_conv1, x = block(0, 1)
    for number in (2, 3):
        _, x = block(x, number)
    skip = steps.activation("relu", steps.convolution(bn_conv1, network.skip, network.bn_skip), "skip")
    x = steps.concatenate([x, skip])
    for number in (4, 5):
        _, x = block(x, number)
    steps.convolution(steps.largest(x, 2), network.linear)


def add_fast(steps, network):
    x = steps.activation("silu", steps.convolution(0, network.whiten), "whitening")
    for number, stage in enumerate(network.stages, 1):
        # The pooling may come after the norm, because the norm's scale is positive.
        x = steps.largest(steps.convolution(x, stage.conv1, stage.norm1), 2)
        x = steps.activation("silu", x, f"stage {number}, conv1")
        x = steps.activation("silu", steps.convolution(x, stage.conv2, stage.norm2), f"stage {number}, conv2")
    x = steps.largest(x, steps.shapes[x][0])
    steps.convolution(x, network.linear)
    # The network divides its logits, which is a scale of the last layer.
    steps.singles[-1] = steps.singles[-1] / np.float32(network.linear.in_features**0.5)
