"""AlexNet in CIFAR-10's size."""

from torch import nn


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
