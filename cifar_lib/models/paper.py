"""The course's own networks: the fully connected one, the paper's, and one made to measure depth."""

from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import nn

from .. import CourseError
from . import kernels

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}


class MLP(nn.Module):
    """A fully connected network: the image as one long row of numbers, then hidden layers.

    Args:
        shape: channels, height, width of an image.
        hidden: units of each hidden layer, each followed by ReLU.
    """

    def __init__(self, shape=(3, 32, 32), hidden=(128,), classes=10):
        super().__init__()
        channels, height, width = shape
        sizes = [channels * height * width, *hidden]
        layers = [nn.Flatten()]
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], classes))

    def forward(self, x):
        return self.layers(x)


class Pointwise(nn.Conv2d):
    """A 1×1 convolution that leaves out the positions between its strides before it convolves.

    The result is that of `nn.Conv2d`. PyTorch's own, with few channels, writes past the end of its
    memory in the backward pass on a CPU: gradients are wrong, or the process dies (oneDNN's issue 6035;
    seen in PyTorch 2.11 and 2.14, with fewer than 8 channels on AVX2).
    """

    def __init__(self, inputs, outputs, stride, bias=True):
        super().__init__(inputs, outputs, 1, stride, bias=bias)

    def forward(self, x):
        return pointwise(x, self.weight, self.bias, self.stride)


@torch.fx.wrap  # one step where a network is drawn
def pointwise(x, weight, bias, stride):
    """The convolution of `Pointwise`; on a GPU, which has no such fault, PyTorch's own."""
    if x.device.type == "cuda":
        return F.conv2d(x, weight, bias, stride)
    return F.conv2d(kernels.take_every(x, *stride), weight, bias)


class SkipCNN(nn.Module):
    """The paper's network: batch norm and ReLU after every convolution, and one skip connection.

    From the paper: `skip` takes `bn_conv1` and down-samples it; its result is concatenated with
    `conv3_relu`. Reconstructed, since the paper does not give them: the numbers of channels, the
    two convolutions after the concatenation, the pooling and the single linear layer.

    Args:
        merge: how the skip meets the main path: "concat" (the paper's), "add", or "none".
        batch_norm: False removes every batch norm; the convolutions then have a bias.
        width: channels of the first convolution; the others are multiples of it.
        head: "flatten" gives the linear layer every remaining position, "pool" their average.
        activation: "relu" (the paper's), "tanh" or "sigmoid", in the place of every ReLU.
    """

    def __init__(
        self,
        shape=(3, 32, 32),
        width=32,
        merge="concat",
        batch_norm=True,
        head="flatten",
        activation="relu",
        classes=10,
    ):
        super().__init__()
        if merge not in ("concat", "add", "none"):
            raise CourseError(f"merge is 'concat', 'add' or 'none', not {merge!r}.")
        if head not in ("flatten", "pool"):
            raise CourseError(f"head is 'flatten' or 'pool', not {head!r}.")
        if activation not in ACTIVATIONS:
            raise CourseError(f"activation is 'relu', 'tanh' or 'sigmoid', not {activation!r}.")
        self.merge = merge
        wide = 2 * width
        merged = 2 * wide if merge == "concat" else wide
        relu = ACTIVATIONS[activation]

        def convolution(inputs, outputs, stride=1):
            return nn.Conv2d(inputs, outputs, 3, stride, 1, bias=not batch_norm)

        def norm(channels):
            return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()

        self.conv1, self.bn_conv1, self.conv1_relu = convolution(shape[0], width), norm(width), relu()
        self.conv2, self.bn_conv2, self.conv2_relu = convolution(width, wide, stride=2), norm(wide), relu()
        self.conv3, self.bn_conv3, self.conv3_relu = convolution(wide, wide), norm(wide), relu()
        if merge != "none":
            self.skip = Pointwise(width, wide, stride=2, bias=not batch_norm)
            self.bn_skip, self.skip_relu = norm(wide), relu()
        self.conv4, self.bn_conv4 = convolution(merged, 2 * wide, stride=2), norm(2 * wide)
        self.conv4_relu = relu()
        self.conv5, self.bn_conv5 = convolution(2 * wide, 2 * wide), norm(2 * wide)
        self.conv5_relu = relu()
        self.pool = nn.MaxPool2d(2) if head == "flatten" else nn.AdaptiveAvgPool2d(1)
        side = shape[1] // 8 if head == "flatten" else 1
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(2 * wide * side * side, classes)

    def forward(self, x):
        bn_conv1 = self.bn_conv1(self.conv1(x))
        x = self.conv1_relu(bn_conv1)
        x = self.conv2_relu(self.bn_conv2(self.conv2(x)))
        x = self.conv3_relu(self.bn_conv3(self.conv3(x)))
        if self.merge != "none":
            skip = self.skip_relu(self.bn_skip(self.skip(bn_conv1)))
            x = torch.cat([x, skip], dim=1) if self.merge == "concat" else x + skip
        x = self.conv4_relu(self.bn_conv4(self.conv4(x)))
        x = self.conv5_relu(self.bn_conv5(self.conv5(x)))
        return self.linear(self.flatten(self.pool(x)))


class DeepCNN(nn.Module):
    """`depth` equal 3×3 convolutions of `width` channels: made to measure gradients by depth.

    Args:
        skip: add the input of each pair of convolutions to its output (He et al. 2016, section 3).
        batch_norm: normalise after every convolution.
        stride: of the first convolution; a larger one makes the others cheaper.
    """

    def __init__(
        self, depth, width=16, skip=False, batch_norm=False, stride=2, shape=(3, 32, 32), classes=10
    ):
        super().__init__()
        self.skip = skip
        self.stem = nn.Conv2d(shape[0], width, 3, stride, padding=1)
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(width) if batch_norm else nn.Identity() for _ in range(depth)
        )
        self.linear = nn.Linear(width, classes)

    def forward(self, x):
        x = block_input = self.stem(x)
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = torch.relu(norm(convolution(x)))
            if i % 2:
                x = block_input = x + block_input if self.skip else x
        return self.linear(x.mean((2, 3)))
