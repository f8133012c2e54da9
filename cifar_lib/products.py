"""A 3×3 convolution of small images in bfloat16, for `fast`, by large products of matrices.

A processor that multiplies matrices of bfloat16 is kept waiting by small images: for each of them a
library's convolution reads all the filters again. With 384 channels these are more than the cache
nearest to a core holds (measured: a third of the speed, and less). Here a product covers all images.
"""

import math

import torch
import torch.nn.functional as F

UNFOLDED_SIDE = 4  # larger images: their patches take longer to write than they save (measured)
# On larger images, or without a unit for matrices (AMX), the library's convolution is quicker (measured).
LARGEST_SIDE = 8 if torch.cpu._is_amx_tile_supported() else UNFOLDED_SIDE
CACHE = 2**21  # bytes of filters that a convolution keeps at hand


def convolve(x, weight):
    """A convolution of stride 1 with a border of zeros: `F.conv2d(x, weight, padding=1)`.

    Args:
        x: [N, C, H, W], quickest in channels-last order.
        weight: [O, C, 3, 3], of the same dtype.

    Returns:
        [N, O, H, W], in channels-last order where `x` is.
    """
    kind = Unfolded if max(x.shape[2:]) <= UNFOLDED_SIDE else Divided
    return kind.apply(x, weight)


class Unfolded(torch.autograd.Function):
    """Every patch written out as a row: outputs and gradients are one product of matrices each."""

    @staticmethod
    def forward(context, x, weight):
        patches = unfold(x)
        context.save_for_backward(patches, weight)
        return by_patches(patches, weight, x.shape)

    @staticmethod
    def backward(context, gradient):
        patches, weight = context.saved_tensors
        turned = weight.flip(2, 3).transpose(0, 1)
        inputs = by_patches(unfold(gradient), turned, gradient.shape)
        products = patches.T @ gradient.permute(0, 2, 3, 1).flatten(0, 2)
        return inputs, products.unflatten(0, (3, 3, -1)).permute(3, 2, 0, 1)


def unfold(x):
    """The 3×3 patches of images [N, C, H, W], zeros around them, as rows: [N·H·W, 9·C]."""
    n, channels, height, width = x.shape
    padded = F.pad(x.permute(0, 2, 3, 1), (0, 0, 1, 1, 1, 1)).contiguous()
    image, row, pixel, _ = padded.stride()
    # Three neighbours of a row lie side by side, so a patch is three pieces of memory.
    patches = padded.as_strided((n, height, width, 3, 3 * channels), (image, row, pixel, row, 1))
    return patches.reshape(n * height * width, 9 * channels)


def by_patches(patches, weight, shape):
    """The outputs [N, O, H, W] of filters [O, C, 3, 3] on the patches of images of that `shape`."""
    outputs = patches @ weight.permute(2, 3, 1, 0).flatten(0, 2)
    return outputs.view(shape[0], *shape[2:], -1).permute(0, 3, 1, 2)


class Divided(torch.autograd.Function):
    """The library's convolution with as many filters at a time as the cache holds, see `weight_gradient`."""

    @staticmethod
    def forward(context, x, weight):
        context.save_for_backward(x, weight)
        return torch.cat([F.conv2d(x, some, padding=1) for some in weight.chunk(shares(weight))], 1)

    @staticmethod
    def backward(context, gradient):
        x, weight = context.saved_tensors
        turned = weight.flip(2, 3).transpose(0, 1)
        inputs = [F.conv2d(gradient, some, padding=1) for some in turned.chunk(shares(weight))]
        return torch.cat(inputs, 1), weight_gradient(x, gradient)


def shares(weight):
    """In how many parts these filters fit into the cache."""
    return math.ceil(weight.nbytes / CACHE)


def weight_gradient(x, gradient):
    """The gradient of a 3×3 convolution's weights, as nine products of matrices, one for each tap.

    Pixels are written in one long list, with a zero after each row and a row of zeros after each
    image. A neighbour is then a fixed distance away in the list, also across the border, so each of
    the nine taps is one product of the two lists, moved against each other. Nothing is copied nine
    times.

    Args:
        x, gradient: inputs [N, C, H, W] and the gradient of the outputs [N, O, H, W].

    Returns:
        [O, C, 3, 3], in the same dtype.
    """
    inputs, outputs = (
        F.pad(values.permute(0, 2, 3, 1), (0, 0, 0, 1, 0, 1)).flatten(0, 2) for values in (x, gradient)
    )
    row, pixels = x.shape[3] + 1, len(inputs)
    taps = []
    for distance in (down * row + right for down in (-1, 0, 1) for right in (-1, 0, 1)):
        here = outputs[max(0, -distance) : pixels - max(0, distance)]
        there = inputs[max(0, distance) : pixels - max(0, -distance)]
        taps.append(here.T @ there)
    return torch.stack(taps, dim=2).unflatten(2, (3, 3))
