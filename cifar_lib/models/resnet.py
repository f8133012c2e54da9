"""ResNet in CIFAR-10's size."""

from torch import nn


class ResidualBlock(nn.Module):
    """Two convolutions whose result is added to what came in (He et al. 2016, figure 2)."""

    def __init__(self, inputs, outputs, stride=1):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1, self.relu1 = nn.BatchNorm2d(outputs), nn.ReLU()
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2, self.relu2 = nn.BatchNorm2d(outputs), nn.ReLU()
        self.shortcut = nn.Sequential()
        if stride > 1 or inputs != outputs:
            convolution = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(convolution, nn.BatchNorm2d(outputs))

    def forward(self, x):
        out = self.relu1(self.bn1(self.conv1(x)))
        return self.relu2(self.bn2(self.conv2(out)) + self.shortcut(x))


class ResNet(nn.Module):
    """Residual blocks at three sizes of image (He et al. 2016, section 4.2).

    The idea: a block learns what to change in its input, so that a deeper network is no harder to
    train. `blocks` at each size give 6 × blocks + 2 layers. Where the shape changes the shortcut is
    a 1×1 convolution (option B; for CIFAR-10 the paper pads with zeros, option A).
    """

    def __init__(self, shape=(3, 32, 32), blocks=1, classes=10):
        super().__init__()
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

    def forward(self, x):
        return self.linear(self.flatten(self.average(self.blocks(self.stem(x)))))
