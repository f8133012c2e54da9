"""ResNet at the size of CIFAR-10."""

from torch import Tensor, nn

from .. import CourseError


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to the input (He et al. 2016, figure 2).

    Where the number of channels or the size of the image changes, the input passes through a 1×1
    convolution first (option B of the paper).

    Args:
        inputs, outputs: channels.
        stride: of the first convolution; 2 halves height and width.
    """

    def __init__(self, inputs: int, outputs: int, stride: int = 1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.relu2 = nn.ReLU()
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        out = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet(nn.Module):
    """Residual blocks at three image sizes, then an average over positions (He et al. 2016, section 4.2).

    The idea: a block learns what to change in its input, so that a deeper network is no harder to
    train. The shortcuts are those of option B; the paper's networks for CIFAR-10 pad with zeros (A).

    Args:
        blocks: blocks per image size, at least 1; the network has 6 × blocks + 2 layers.

    Raises:
        CourseError: there are no blocks.
    """

    def __init__(self, shape: tuple[int, int, int] = (3, 32, 32), blocks: int = 1, classes: int = 10):
        super().__init__()
        if blocks < 1:
            raise CourseError(f"blocks is a whole number of at least 1, not {blocks}.")
        stem = nn.Conv2d(shape[0], 16, 3, padding=1, bias=False)
        self.stem = nn.Sequential(stem, nn.BatchNorm2d(16), nn.ReLU())
        layers = []
        for before, after in ((16, 16), (16, 32), (32, 64)):
            layers.append(ResidualBlock(before, after, after // before))
            layers += [ResidualBlock(after, after) for _ in range(blocks - 1)]
        self.blocks = nn.Sequential(*layers)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(64, classes)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.flatten(self.average(self.blocks(self.stem(x)))))
