"""AlexNet at the size of CIFAR-10."""

import math

from torch import Tensor, nn


class AlexNet(nn.Module):
    """Five convolutions and three linear layers (Krizhevsky et al. 2012, section 3).

    The idea: ReLU and dropout make a large network trainable. Kept: the layers, their order and the
    overlapping pooling. Left out: local response normalisation and the split over two GPUs. The
    first filters are 5×5 (the paper's are 11×11 with stride 4), and dropout precedes the first two
    linear layers, as in torchvision's version.
    """

    def __init__(self, shape: tuple[int, int, int] = (3, 32, 32), classes: int = 10):
        super().__init__()
        side = math.ceil(shape[1] / 8)  # each of the three poolings halves it and rounds up
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

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
