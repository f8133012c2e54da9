"""The network of the fast recipes, much of which is set before the first training step."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from .. import CourseError
from ..system import device as devices
from . import kernels

PATCH = 2  # side of the patches that the first layer sees
ADDED_VARIANCE = 5e-4  # to every direction's: without it, the faintest would be amplified into noise
PART = 500  # images whose patches are held at once: those of 5,000 images take a gigabyte


class FastCNN(nn.Module):
    """Whitened patches, then stages of two 3×3 convolutions, each of which halves the image.

    Source: Jordan (2024), "94% on CIFAR-10 in 3.29 seconds", section 3; the widths are those of
    its successor with Muon.

    Args:
        shape: channels, height, width of an image.
        widths: output channels of each stage.
        inner: channels between the two convolutions of each stage; None for its output channels.
        whiten: `prepare` computes the first layer from the images, and training leaves it alone;
            otherwise that layer is a convolution like any other.
        dirac: every convolution of a stage initially passes its inputs through; otherwise its
            filters are random.
    """

    def __init__(
        self,
        shape: tuple[int, int, int] = (3, 32, 32),
        widths: Sequence[int] = (64, 256, 256),
        inner: Sequence[int] | None = None,
        whiten: bool = True,
        dirac: bool = True,
        classes: int = 10,
    ):
        super().__init__()
        channels = 2 * shape[0] * PATCH * PATCH
        self.whiten = nn.Conv2d(shape[0], channels, PATCH, bias=not whiten)
        self.whiten.weight.requires_grad = not whiten
        sizes = zip([channels, *widths[:-1]], widths, inner or widths, strict=True)
        self.stages = nn.Sequential(*(Stage(*size, dirac=dirac) for size in sizes))
        self.linear = nn.Linear(widths[-1], classes, bias=False)

    def prepare(self, images: Tensor) -> None:
        """Set the first layer from some of the training images, so that it whitens their patches.

        Its filters are the eigenvectors of the patches' second moments, each divided by the standard
        deviation along it, and their negatives: afterwards no direction of a patch is louder than
        another. A network that was built without whitening is left alone.

        Args:
            images: float32 [N, C, H, W], normalised, on any device.

        Raises:
            CourseError: the images are whole numbers, of which training sees none.
        """
        if not images.is_floating_point():
            raise CourseError(
                f"The images are {str(images.dtype).removeprefix('torch.')}, but the network sees normalised "
                f"ones: give data.normalize(pixels)."
            )
        if self.whiten.weight.requires_grad:
            return
        size = self.whiten.weight[0].numel()
        squares = images.new_zeros(size, size, dtype=torch.float64)
        count = 0
        for part in images.split(PART):
            # Not `F.unfold`, whose threads wait for one another after each image.
            patches = part.unfold(2, PATCH, 1).unfold(3, PATCH, 1)  # [N, C, H', W', PATCH, PATCH]
            patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(-1, size).double()
            squares += patches.T @ patches
            count += len(patches)
        variance, directions = torch.linalg.eigh((squares / count).cpu())
        rows = (directions / (variance + ADDED_VARIANCE).sqrt()).T.float()
        filters = rows.view(-1, *self.whiten.weight.shape[1:])
        with torch.no_grad():
            self.whiten.weight.copy_(torch.cat([filters, -filters]))

    def forward(self, x: Tensor) -> Tensor:
        with devices.autocast(x.device, torch.float32):  # bfloat16 would round away the faint directions
            x = self.whiten(x)
        x = x.to(devices.product_dtype(x))  # saves memory traffic: the next convolution rounds it anyway
        return self.linear(_largest(self.stages(F.silu(x)))) / self.linear.in_features**0.5


def _largest(x: Tensor) -> Tensor:
    """The largest number of each channel, [N, C, H, W] -> [N, C]."""
    if torch.compiler.is_compiling():
        # The gradient of `amax` looks for the largest again. A compiler computes x anew for that, without
        # rounding it, and then no number equals the largest, which was rounded: the gradient is 0 / 0.
        return x.flatten(2).max(2).values
    return x.amax((2, 3))


class Stage(nn.Module):
    """Convolution, max pooling, batch norm, SiLU; then the same without the pooling.

    Args:
        inputs, outputs: channels.
        inner: channels between the convolutions; None for `outputs`.
        dirac: see `FastCNN`.
    """

    def __init__(self, inputs: int, outputs: int, inner: int | None = None, *, dirac: bool):
        super().__init__()
        inner = inner or outputs
        self.conv1, self.conv2 = Convolution(inputs, inner), Convolution(inner, outputs)
        self.norm1, self.norm2 = norm(inner), norm(outputs)
        if dirac:
            for conv in (self.conv1, self.conv2):
                nn.init.dirac_(conv.weight[: conv.in_channels])

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.silu(self.norm2(self.conv2(x)))


def norm(channels: int) -> nn.BatchNorm2d:
    """Batch norm with a trained shift and no scale, whose running averages follow the last few batches.

    The network changes fast, so that older batches would mislead.
    """
    layer = nn.BatchNorm2d(channels, momentum=0.4)
    layer.weight.requires_grad = False
    return layer


class Convolution(nn.Conv2d):
    """A 3×3 convolution without bias, for which a CPU takes the quickest of several ways in training.

    In evaluation and on a GPU it is PyTorch's own.
    """

    def __init__(self, inputs: int, outputs: int):
        super().__init__(inputs, outputs, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and torch.is_grad_enabled() and x.device.type == "cpu":
            return kernels.convolve(x, self.weight)
        return super().forward(x)
