"""VGG at the size of CIFAR-10."""

from itertools import pairwise

from torch import Tensor, nn

WIDTHS = (16, 32, 64)  # channels of each stage


class VGG(nn.Module):
    """Pairs of 3×3 convolutions, each pair followed by pooling (Simonyan and Zisserman 2015, section 2).

    The idea: two 3×3 convolutions see 5×5 pixels with fewer weights and one more ReLU. There are three
    such stages where configuration B has five, and one hidden linear layer where it has two; dropout is
    left out.
    """

    def __init__(self, shape: tuple[int, int, int] = (3, 32, 32), classes: int = 10):
        super().__init__()
        layers: list[nn.Module] = []
        for before, after in pairwise((shape[0], *WIDTHS)):
            layers += [nn.Conv2d(before, after, 3, padding=1), nn.ReLU()]
            layers += [nn.Conv2d(after, after, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
        side = shape[1] // 2 ** len(WIDTHS)
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(
            nn.Flatten(), nn.Linear(WIDTHS[-1] * side * side, 128), nn.ReLU(), nn.Linear(128, classes)
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.classifier(self.features(x))
