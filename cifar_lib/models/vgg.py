"""VGG in CIFAR-10's size."""

from itertools import pairwise

from torch import nn


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
