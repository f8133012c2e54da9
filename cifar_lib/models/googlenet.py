"""GoogLeNet at the size of CIFAR-10, with plain or with factorised convolutions."""

import torch
from torch import Tensor, nn


class Inception(nn.Module):
    """One inception module: four paths side by side, concatenated (Szegedy et al. 2015, figure 2b).

    Args:
        inputs: channels of the input.
        one, three, five, pooled: output channels of each path. The 3×3 and the 5×5 path first reduce the
            input to half as many channels as they give.
    """

    def __init__(self, inputs: int, one: int, three: int, five: int, pooled: int):
        super().__init__()

        def convolution(before: int, after: int, side: int = 1) -> list[nn.Module]:
            return [nn.Conv2d(before, after, side, padding=side // 2), nn.ReLU()]

        self.one = nn.Sequential(*convolution(inputs, one))
        self.three = nn.Sequential(*convolution(inputs, three // 2), *convolution(three // 2, three, 3))
        self.five = nn.Sequential(*convolution(inputs, five // 2), *convolution(five // 2, five, 5))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), *convolution(inputs, pooled))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], dim=1)


class FactorisedInception(nn.Module):
    """An inception module whose large filters are factorised (Szegedy et al. 2016, figures 5 and 6).

    Two 3×3 filters replace the 5×5. Batch norm follows every convolution, as in the networks of that
    paper.

    Args:
        inputs, one, three, five, pooled: as in `Inception`.
        side: 3, or a larger odd number, for which 1×side and side×1 replace each 3×3.
    """

    def __init__(self, inputs: int, one: int, three: int, five: int, pooled: int, side: int = 3):
        super().__init__()

        def convolution(before: int, after: int, height: int = 1, width: int = 1) -> nn.Module:
            kernel, padding = (height, width), (height // 2, width // 2)
            layer = nn.Conv2d(before, after, kernel, padding=padding, bias=False)
            return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU())

        def square(before: int, after: int) -> nn.Module:
            if side == 3:
                return convolution(before, after, 3, 3)
            return nn.Sequential(convolution(before, after, 1, side), convolution(after, after, side, 1))

        self.one = convolution(inputs, one)
        self.three = nn.Sequential(convolution(inputs, three // 2), square(three // 2, three))
        self.five = nn.Sequential(convolution(inputs, five // 2), square(five // 2, five), square(five, five))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), convolution(inputs, pooled))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], dim=1)


class GoogLeNet(nn.Module):
    """A convolution, three inception modules, an average over positions (Szegedy et al. 2015).

    The idea: look at several sizes at once, and let 1×1 convolutions keep that cheap. Left out:
    six of the nine modules, the two auxiliary classifiers, local response normalisation, dropout.

    Args:
        factorised: use the modules of the network's second and third version instead.
    """

    def __init__(
        self, shape: tuple[int, int, int] = (3, 32, 32), factorised: bool = False, classes: int = 10
    ):
        super().__init__()
        kind: type[nn.Module] = FactorisedInception if factorised else Inception
        last = {"side": 5} if factorised else {}
        self.stem = nn.Sequential(nn.Conv2d(shape[0], 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.module1 = kind(24, 16, 24, 8, 8)
        self.module2 = kind(56, 24, 40, 16, 16)
        self.pool = nn.MaxPool2d(2)
        self.module3 = kind(96, 32, 64, 16, 16, **last)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(128, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.module2(self.module1(self.stem(x)))
        x = self.module3(self.pool(x))
        return self.linear(self.flatten(self.average(x)))
