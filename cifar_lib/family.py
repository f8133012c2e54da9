"""The family tree: famous networks in CIFAR-10's size, each in its plainest form.

They are narrow on purpose, so that one recipe trains them all in a minute or two on a CPU. Every
one takes float32 [N, C, H, W] with sides of at least 28 and gives logits [N, classes].
"""

from itertools import pairwise

import torch
from torch import nn


class LeNet5(nn.Module):
    """Convolution, then averaging, twice; then linear layers (LeCun et al. 1998, section II.B).

    The idea: small filters, shared over the whole image, learned together with the classifier.
    Simplified: every map of the second convolution sees all of the first, an average has no
    trained scale, tanh is not stretched, and the last layer is linear (radial basis functions there).
    """

    activation, pool = nn.Tanh, nn.AvgPool2d

    def __init__(self, shape=(3, 32, 32), classes=10):
        super().__init__()
        activation, pool = self.activation, self.pool
        side = ((shape[1] - 4) // 2 - 4) // 2
        self.layers = nn.Sequential(
            nn.Conv2d(shape[0], 6, 5),
            activation(),
            pool(2),
            nn.Conv2d(6, 16, 5),
            activation(),
            pool(2),
            nn.Flatten(),
            nn.Linear(16 * side * side, 120),
            activation(),
            nn.Linear(120, 84),
            activation(),
            nn.Linear(84, classes),
        )

    def forward(self, x):
        return self.layers(x)


class BeginnerNet(LeNet5):
    """The network of PyTorch's tutorial "Training a classifier": LeNet-5 with ReLU and max pooling."""

    activation, pool = nn.ReLU, nn.MaxPool2d


class AlexNet(nn.Module):
    """Five convolutions and three linear layers (Krizhevsky et al. 2012, section 3).

    The idea: ReLU and dropout make a large network trainable. Kept: the layers, their order, the
    overlapping pooling. Left out: local response normalisation and the split over two GPUs. The
    first filters are 5×5 (11×11 with stride 4 there), and dropout stands before the first two
    linear layers, as in torchvision's version.
    """

    def __init__(self, shape=(3, 32, 32), classes=10):
        super().__init__()
        side = -(-shape[1] // 8)
        self.features = nn.Sequential(
            nn.Conv2d(shape[0], 24, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(24, 48, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
            nn.Conv2d(48, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 64, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(64, 48, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, 2, 1),
        )
        self.classifier = nn.Sequential(
            nn.Flatten(),
            nn.Dropout(0.5),
            nn.Linear(48 * side * side, 256),
            nn.ReLU(),
            nn.Dropout(0.5),
            nn.Linear(256, 256),
            nn.ReLU(),
            nn.Linear(256, classes),
        )

    def forward(self, x):
        return self.classifier(self.features(x))


class VGG(nn.Module):
    """Pairs of 3×3 convolutions, each pair followed by pooling (Simonyan and Zisserman 2015, section 2).

    The idea: two 3×3 convolutions see 5×5 pixels with fewer weights and one more ReLU. Three such
    stages where configuration B has five; one hidden linear layer where it has two; no dropout.
    """

    def __init__(self, shape=(3, 32, 32), widths=(16, 32, 64), classes=10):
        super().__init__()
        layers = []
        for before, after in pairwise((shape[0], *widths)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
            layers += [nn.Conv2d(after, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        side = shape[1] // 2 ** len(widths)
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(widths[-1] * side * side, 128), nn.ReLU(), nn.Linear(128, classes)
        )

    def forward(self, x):
        return self.classifier(self.features(x))


class Inception(nn.Module):
    """One inception module: four paths side by side, concatenated (Szegedy et al. 2015, figure 2b).

    Args:
        inputs: channels that come in.
        one, three, five, pooled: channels that each path gives. The 3×3 and the 5×5 path first
            reduce the channels to half of what they give.
    """

    def __init__(self, inputs, one, three, five, pooled):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(inputs, one, 1), nn.ReLU())
        self.three = nn.Sequential(
            nn.Conv2d(inputs, three // 2, 1),
            nn.ReLU(),
            nn.Conv2d(three // 2, three, 3, padding=1),
            nn.ReLU(),
        )
        self.five = nn.Sequential(
            nn.Conv2d(inputs, five // 2, 1),
            nn.ReLU(),
            nn.Conv2d(five // 2, five, 5, padding=2),
            nn.ReLU(),
        )
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(inputs, pooled, 1), nn.ReLU())

    def forward(self, x):
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], dim=1)


class FactorisedInception(nn.Module):
    """An inception module whose large filters are taken apart (Szegedy et al. 2016, figures 5 and 6).

    The 5×5 becomes two 3×3; with `side` above 3, each 3×3 becomes 1×side and side×1. Batch norm
    follows every convolution, as in the networks of that paper. Arguments as in `Inception`.
    """

    def __init__(self, inputs, one, three, five, pooled, side=3):
        super().__init__()

        def convolution(before, after, height=1, width=1):
            kernel, padding = (height, width), (height // 2, width // 2)
            layer = nn.Conv2d(before, after, kernel, padding=padding, bias=False)
            return nn.Sequential(layer, nn.BatchNorm2d(after), nn.ReLU())

        def square(before, after):
            if side == 3:
                return convolution(before, after, 3, 3)
            return nn.Sequential(convolution(before, after, 1, side), convolution(after, after, side, 1))

        self.one = convolution(inputs, one)
        self.three = nn.Sequential(convolution(inputs, three // 2), square(three // 2, three))
        self.five = nn.Sequential(convolution(inputs, five // 2), square(five // 2, five), square(five, five))
        self.pooled = nn.Sequential(nn.MaxPool2d(3, 1, 1), convolution(inputs, pooled))

    def forward(self, x):
        return torch.cat([self.one(x), self.three(x), self.five(x), self.pooled(x)], dim=1)


class GoogLeNet(nn.Module):
    """A convolution, three inception modules, an average over positions (Szegedy et al. 2015).

    The idea: look at several sizes at once, and let 1×1 convolutions keep that cheap. Left out:
    six of the nine modules, the two auxiliary classifiers, local response normalisation, dropout.
    `factorised` gives the modules of the network's second and third version instead.
    """

    def __init__(self, shape=(3, 32, 32), factorised=False, classes=10):
        super().__init__()
        kind = FactorisedInception if factorised else Inception
        last = {"side": 5} if factorised else {}
        self.stem = nn.Sequential(nn.Conv2d(shape[0], 24, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2))
        self.module1 = kind(24, 16, 24, 8, 8)
        self.module2 = kind(56, 24, 40, 16, 16)
        self.pool = nn.MaxPool2d(2)
        self.module3 = kind(96, 32, 64, 16, 16, **last)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.flatten = nn.Flatten()
        self.linear = nn.Linear(128, classes)

    def forward(self, x):
        x = self.module2(self.module1(self.stem(x)))
        x = self.module3(self.pool(x))
        return self.linear(self.flatten(self.average(x)))


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
