"""The course's own networks: a fully connected one, the paper's, and one that measures depth."""

from collections.abc import Sequence
from itertools import pairwise

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import CourseError
from . import kernels

ACTIVATIONS = {"relu": nn.ReLU, "tanh": nn.Tanh, "sigmoid": nn.Sigmoid}
DEEP_WIDTH = 16  # channels of every convolution of `DeepCNN`


class MLP(nn.Module):
    """A fully connected network: the image becomes one row of numbers, hidden layers follow.

    Args:
        shape: channels, height, width of an image.
        hidden: units of each hidden layer, each followed by ReLU.
    """

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 32, 32),
        hidden: Sequence[int] = (128,),
        classes: int = 10,
    ):
        super().__init__()
        channels, height, width = shape
        sizes = [channels * height * width, *hidden]
        layers: list[nn.Module] = [nn.Flatten()]
        for before, after in pairwise(sizes):
            layers += [nn.Linear(before, after), nn.ReLU()]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], classes))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class SkipCNN(nn.Module):
    """The paper's network: batch norm and ReLU after every convolution, and one skip connection.

    From the paper: `skip` takes the output of `bn_conv1` and down-samples it; its result is concatenated
    with that of `conv3_relu`. Reconstructed, because the paper does not give them: the numbers of channels,
    the two convolutions after the concatenation, the pooling and the single linear layer.

    Args:
        shape: channels, height, width of an image.
        width: channels of the first convolution; the others have two or four times as many.
        merge: how the skip meets the main path: "concat" (the paper's), "add", or "none".
        batch_norm: False leaves out every batch norm; the convolutions then have a bias.
        head: "flatten" gives the linear layer every remaining position, "pool" their average.
        activation: "relu" (the paper's), "tanh" or "sigmoid", in place of every ReLU.
        convolutions: how many the main path has: 5, or the 3 that the paper names.

    Raises:
        CourseError: `merge`, `head`, `activation` or `convolutions` is none of these.
    """

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 32, 32),
        width: int = 32,
        merge: str = "concat",
        batch_norm: bool = True,
        head: str = "flatten",
        activation: str = "relu",
        convolutions: int = 5,
        classes: int = 10,
    ):
        super().__init__()
        if merge not in ("concat", "add", "none"):
            raise CourseError(f"merge is 'concat', 'add' or 'none', not {merge!r}.")
        if head not in ("flatten", "pool"):
            raise CourseError(f"head is 'flatten' or 'pool', not {head!r}.")
        if activation not in ACTIVATIONS:
            raise CourseError(f"activation is 'relu', 'tanh' or 'sigmoid', not {activation!r}.")
        if convolutions not in (3, 5):
            raise CourseError(f"convolutions is 3 or 5, not {convolutions!r}.")
        self.merge, self.convolutions = merge, convolutions
        channels, height, _ = shape
        wide, widest = 2 * width, 4 * width
        merged = 2 * wide if merge == "concat" else wide
        last, shrunk = (widest, 8) if convolutions == 5 else (merged, 4)
        side = height // shrunk if head == "flatten" else 1
        relu = ACTIVATIONS[activation]

        def conv(inputs: int, outputs: int, stride: int = 1) -> nn.Module:
            return nn.Conv2d(inputs, outputs, 3, stride, padding=1, bias=not batch_norm)

        def norm(channels: int) -> nn.Module:
            return nn.BatchNorm2d(channels) if batch_norm else nn.Identity()

        # The order matters: each layer draws its initial weights when it is made.
        self.conv1 = conv(channels, width)
        self.bn_conv1 = norm(width)
        self.conv1_relu = relu()

        self.conv2 = conv(width, wide, stride=2)
        self.bn_conv2 = norm(wide)
        self.conv2_relu = relu()

        self.conv3 = conv(wide, wide)
        self.bn_conv3 = norm(wide)
        self.conv3_relu = relu()

        if merge != "none":
            self.skip = Pointwise(width, wide, stride=2, bias=not batch_norm)
            self.bn_skip = norm(wide)
            self.skip_relu = relu()

        if convolutions == 5:
            self.conv4 = conv(merged, widest, stride=2)
            self.bn_conv4 = norm(widest)
            self.conv4_relu = relu()

            self.conv5 = conv(widest, widest)
            self.bn_conv5 = norm(widest)
            self.conv5_relu = relu()

        self.pool = nn.MaxPool2d(2) if head == "flatten" else nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(last * side * side, classes)

    def forward(self, x: Tensor) -> Tensor:
        bn_conv1 = self.bn_conv1(self.conv1(x))
        x = self.conv1_relu(bn_conv1)
        x = self.conv2_relu(self.bn_conv2(self.conv2(x)))
        x = self.conv3_relu(self.bn_conv3(self.conv3(x)))
        if self.merge != "none":
            skip = self.skip_relu(self.bn_skip(self.skip(bn_conv1)))
            x = torch.cat([x, skip], dim=1) if self.merge == "concat" else x + skip
        if self.convolutions == 5:
            x = self.conv4_relu(self.bn_conv4(self.conv4(x)))
            x = self.conv5_relu(self.bn_conv5(self.conv5(x)))
        return self.linear(self.flatten(self.pool(x)))


class Pointwise(nn.Conv2d):
    """A 1×1 convolution that drops the positions between its strides before it convolves.

    The result is that of `nn.Conv2d`, which cannot be used here: with few channels its backward pass on a
    CPU writes past the end of its memory, so that gradients are wrong or the process dies (issue 6035 of
    oneDNN; seen in PyTorch 2.11 and 2.14 with fewer than 8 channels on AVX2).

    Args:
        inputs, outputs: channels.
        stride: the distance of the positions that are kept, down and across.
        bias: whether each output channel has a bias.
    """

    def __init__(self, inputs: int, outputs: int, stride: int, bias: bool):
        super().__init__(inputs, outputs, 1, stride, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return pointwise(x, self.weight, self.bias, self.stride)


@torch.fx.wrap  # so that a diagram of the network shows it as one step
def pointwise(x: Tensor, weight: Tensor, bias: Tensor | None, stride: tuple[int, ...]) -> Tensor:
    """The convolution of `Pointwise`; on a GPU, which has no such fault, PyTorch's own."""
    if x.device.type == "cuda":
        return F.conv2d(x, weight, bias, stride)
    rows, columns = stride
    return F.conv2d(kernels.take_every(x, rows, columns), weight, bias)


class DeepCNN(nn.Module):
    """A stem and `depth` equal 3×3 convolutions: made to measure gradients at each depth.

    Args:
        depth: how many convolutions follow the stem.
        skip: add the input of each pair of convolutions to its output (He et al. 2016, section 3).
        batch_norm: normalise after every convolution but the stem.
        stride: of the stem; a larger one makes the other convolutions cheaper.
        shape: channels, height, width of an image.
    """

    def __init__(
        self,
        depth: int,
        skip: bool = False,
        batch_norm: bool = False,
        stride: int = 2,
        shape: tuple[int, int, int] = (3, 32, 32),
        classes: int = 10,
    ):
        super().__init__()
        self.skip = skip
        width = DEEP_WIDTH
        self.stem = nn.Conv2d(shape[0], width, 3, stride, padding=1)
        self.convolutions = nn.ModuleList(nn.Conv2d(width, width, 3, padding=1) for _ in range(depth))
        self.norms = nn.ModuleList(
            nn.BatchNorm2d(width) if batch_norm else nn.Identity() for _ in range(depth)
        )
        self.linear = nn.Linear(width, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = block_input = self.stem(x)
        for i, (convolution, norm) in enumerate(zip(self.convolutions, self.norms, strict=True)):
            x = torch.relu(norm(convolution(x)))
            if i % 2:
                x = block_input = x + block_input if self.skip else x
        return self.linear(x.mean((2, 3)))
