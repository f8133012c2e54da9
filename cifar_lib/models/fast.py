"""The network of the fast recipe, for `models`: much of it is set before the first step."""

import torch
import torch.nn.functional as F
from torch import nn

from ..system import device as devices
from . import kernels

PATCH = 2  # side of the patches that the first layer sees


class FastCNN(nn.Module):
    """Whitened patches, then stages of two 3×3 convolutions, each halving the image.

    Source: Jordan (2024), "94% on CIFAR-10 in 3.29 seconds", section 3; the widths are those of
    its successor with Muon.

    Args:
        widths: channels of each stage.
        inner: channels between the two convolutions of each stage; None for as many as it ends with.
        whiten: the first layer is computed from the images by `prepare`, and not trained; else it
            is a convolution like any other.
        dirac: a convolution begins by passing its inputs through; else with random filters.
    """

    def __init__(
        self, shape=(3, 32, 32), widths=(64, 256, 256), inner=None, whiten=True, dirac=True, classes=10
    ):
        super().__init__()
        channels = 2 * shape[0] * PATCH * PATCH
        self.whiten = nn.Conv2d(shape[0], channels, PATCH, bias=not whiten)
        self.whiten.weight.requires_grad = not whiten
        sizes = zip([channels, *widths[:-1]], widths, inner or widths, strict=True)
        self.stages = nn.Sequential(*(Stage(*size, dirac=dirac) for size in sizes))
        self.linear = nn.Linear(widths[-1], classes, bias=False)

    def prepare(self, images):
        """Set the first layer from some of the training images, float32 [N, C, H, W]: it whitens patches.

        Its filters are the eigenvectors of the patches' covariance, each divided by the deviation
        along it, and their negatives: afterwards no direction of a patch is louder than another.
        A network that was built without whitening is left alone.
        """
        if self.whiten.weight.requires_grad:
            return
        squares, count = 0, 0
        for part in images.split(500):  # the patches of 5,000 images take a gigabyte
            patches = F.unfold(part, PATCH).transpose(1, 2).flatten(0, 1).double()
            squares, count = squares + patches.T @ patches, count + len(patches)
        variance, directions = torch.linalg.eigh(squares / count)
        filters = (directions / (variance + 5e-4).sqrt()).T.float().view(-1, *self.whiten.weight.shape[1:])
        with torch.no_grad():
            self.whiten.weight.copy_(torch.cat([filters, -filters]))

    def forward(self, x):
        with devices.autocast(x.device, torch.float32):  # in bfloat16 the faint directions drown in rounding
            x = self.whiten(x)
        x = x.to(devices.product_dtype(x))  # what follows is rounded in any case
        x = self.stages(F.silu(x))
        return self.linear(x.amax((2, 3))) / self.linear.in_features**0.5


class Stage(nn.Module):
    """Convolution, pooling, batch norm, SiLU; then the same without the pooling."""

    def __init__(self, inputs, outputs, inner=None, *, dirac):
        super().__init__()
        inner = inner or outputs
        self.conv1, self.conv2 = Convolution(inputs, inner), Convolution(inner, outputs)
        self.norm1, self.norm2 = norm(inner), norm(outputs)
        if dirac:
            for conv in (self.conv1, self.conv2):
                nn.init.dirac_(conv.weight[: conv.in_channels])

    def forward(self, x):
        x = F.silu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.silu(self.norm2(self.conv2(x)))


def norm(channels):
    """Batch norm that shifts but does not scale, and forgets soon: its network changes fast."""
    layer = nn.BatchNorm2d(channels, momentum=0.4)
    layer.weight.requires_grad = False
    return layer


class Convolution(nn.Conv2d):
    """A 3×3 convolution without bias, which a CPU trains in the quickest of several ways.

    Evaluation is PyTorch's own, and so is a GPU's.
    """

    def __init__(self, inputs, outputs):
        super().__init__(inputs, outputs, 3, padding=1, bias=False)

    def forward(self, x):
        if self.training and torch.is_grad_enabled() and x.device.type == "cpu":
            return kernels.convolve(x, self.weight)
        return super().forward(x)
