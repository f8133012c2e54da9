"""LeNet-5, and the network of PyTorch's beginners' tutorial."""

from torch import Tensor, nn


class LeNet5(nn.Module):
    """Convolution and averaging, twice, then linear layers (LeCun et al. 1998, section II.B).

    The idea: small filters, shared over the whole image, are learned together with the classifier.
    Simplified: every map of the second convolution sees all maps before it, the averages have no
    trained scale, tanh is not stretched, and the last layer is linear instead of radial basis functions.
    """

    activation: type[nn.Module] = nn.Tanh
    pool: type[nn.Module] = nn.AvgPool2d

    def __init__(self, shape: tuple[int, int, int] = (3, 32, 32), classes: int = 10):
        super().__init__()
        activation, pool = self.activation, self.pool
        side = ((shape[1] - 4) // 2 - 4) // 2  # a 5×5 filter without a border takes four pixels, pooling half
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

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class BeginnerNet(LeNet5):
    """LeNet-5 with ReLU and max pooling: the network of PyTorch's tutorial "Training a classifier"."""

    activation, pool = nn.ReLU, nn.MaxPool2d
