"""LeNet-5, and the network of PyTorch's beginners' tutorial."""

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
