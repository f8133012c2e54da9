"""Batch norm, ReLU and striding whose backward pass keeps to channels-last order."""

import torch
import torch.nn.functional as F
from torch import nn

VECTOR = 16  # batch norm's backward pass is slow where the channels are no multiple of this (measured)


def quicken(model):
    """Replace a network's batch norms and ReLUs by those of this module, in place, and return it.

    Names, weights and results stay the same. On a GPU nothing is replaced, nor are batch norms without
    weights or without running averages.
    """
    if next(model.parameters()).device.type == "cpu":
        for layer in model.modules():
            if type(layer) is nn.ReLU:
                layer.__class__ = ReLU
            elif type(layer) is nn.BatchNorm2d and _is_complete(layer):
                layer.__class__ = BatchNorm
    return model


def _is_complete(norm):
    return all(part is not None for part in (norm.weight, norm.running_mean, norm.momentum))


class BatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose backward pass is quick for gradients [N, C, H, W] in any memory order."""

    def forward(self, x):
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(x)
        self.num_batches_tracked.add_(1)
        return _BatchNorm.apply(
            x, self.weight, self.bias, self.running_mean, self.running_var, self.momentum, self.eps
        )


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(context, x, weight, bias, running_mean, running_var, momentum, eps):
        y, mean, scale = torch.native_batch_norm(
            x, weight, bias, running_mean, running_var, True, momentum, eps
        )
        context.save_for_backward(x, weight, mean, scale)
        context.eps = eps
        return y

    @staticmethod
    def backward(context, gradient):
        x, weight, mean, scale = context.saved_tensors
        channels = len(weight)
        missing = -channels % VECTOR
        if missing:
            x, gradient = (_more_channels(values, missing) for values in (x, gradient))
            weight, mean, scale = (F.pad(values, (0, missing)) for values in (weight, mean, scale))
        of_x, of_weight, of_bias = torch.ops.aten.native_batch_norm_backward(
            _in_order(gradient), x, weight, None, None, mean, scale, True, context.eps, [True] * 3
        )
        of_x = _in_order(of_x[:, :channels])
        return of_x, of_weight[:channels], of_bias[:channels], None, None, None, None


class ReLU(nn.ReLU):
    """`nn.ReLU` whose backward pass is quick for gradients in any memory order."""

    def forward(self, x):
        return _ReLU.apply(x) if torch.is_grad_enabled() else super().forward(x)


class _ReLU(torch.autograd.Function):
    @staticmethod
    def forward(context, x):
        y = x.relu()
        context.save_for_backward(y)
        return y

    @staticmethod
    def backward(context, gradient):
        (y,) = context.saved_tensors
        return torch.ops.aten.threshold_backward(_in_order(gradient), y, 0)


def _in_order(values):
    """The same values, images in channels-last order."""
    return values.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else values


def _more_channels(images, more):
    return F.pad(images.permute(0, 2, 3, 1), (0, more)).permute(0, 3, 1, 2)


def take_every(x, rows, columns):
    """x[:, :, ::rows, ::columns] of images [N, C, H, W], whose gradient is in channels-last order too."""
    return _TakeEvery.apply(x, rows, columns)


class _TakeEvery(torch.autograd.Function):
    @staticmethod
    def forward(context, x, rows, columns):
        context.shape, context.steps = x.shape, (rows, columns)
        return x[:, :, ::rows, ::columns].contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(context, gradient):
        rows, columns = context.steps
        layout = {"dtype": gradient.dtype, "device": gradient.device, "memory_format": torch.channels_last}
        of_x = torch.empty(context.shape, **layout).zero_()
        of_x[:, :, ::rows, ::columns] = gradient
        return of_x, None, None
