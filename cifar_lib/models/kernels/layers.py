"""Batch norm, ReLU and striding whose backward pass keeps to channels-last order."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..modes import device_of

VECTOR = 16  # batch norm's backward pass is slow where channels are not a multiple of this (measured)


def quicken(model: nn.Module) -> nn.Module:
    """Replace a network's batch norms and ReLUs by those of this module, in place, and return it.

    Names, weights and results stay the same. Nothing is replaced in a network on a GPU; batch norms that are
    not complete are left alone.
    """
    if device_of(model).type == "cpu":
        for layer in model.modules():
            if type(layer) is nn.ReLU:
                layer.__class__ = ReLU
            elif is_complete(layer):
                layer.__class__ = BatchNorm
    return model


def is_complete(layer: nn.Module) -> bool:
    """Whether this is `nn.BatchNorm2d` itself, with weights, running averages and a fixed momentum."""
    if type(layer) is not nn.BatchNorm2d:
        return False
    parts = (layer.weight, layer.bias, layer.running_mean, layer.momentum)
    return all(part is not None for part in parts)


class BatchNorm(nn.BatchNorm2d):
    """`nn.BatchNorm2d` whose backward pass is quick for gradients [N, C, H, W] in any memory order."""

    num_batches_tracked: Tensor

    def forward(self, x: Tensor) -> Tensor:
        if not (self.training and torch.is_grad_enabled()):
            return super().forward(x)
        self.num_batches_tracked.add_(1)
        return _BatchNorm.apply(
            x, self.weight, self.bias, self.running_mean, self.running_var, self.momentum, self.eps
        )


class _BatchNorm(torch.autograd.Function):
    @staticmethod
    def forward(
        context: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        running_mean: Tensor,
        running_var: Tensor,
        momentum: float,
        eps: float,
    ) -> Tensor:
        y, mean, scale = torch.native_batch_norm(
            x, weight, bias, running_mean, running_var, True, momentum, eps
        )
        context.save_for_backward(x, weight, mean, scale)
        context.eps = eps
        return y

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
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

    def forward(self, x: Tensor) -> Tensor:
        return _ReLU.apply(x) if torch.is_grad_enabled() else super().forward(x)


class _ReLU(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor) -> Tensor:
        y = x.relu()
        context.save_for_backward(y)
        return y

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        (y,) = context.saved_tensors
        return torch.ops.aten.threshold_backward(_in_order(gradient), y, 0)


def _in_order(values: Tensor) -> Tensor:
    """The same values, images in channels-last order."""
    return values.contiguous(memory_format=torch.channels_last) if values.ndim == 4 else values


def _more_channels(images: Tensor, more: int) -> Tensor:
    """Images [N, C, H, W] with `more` channels of zeros, in channels-last order."""
    return F.pad(images.permute(0, 2, 3, 1), (0, more)).permute(0, 3, 1, 2)


def take_every(x: Tensor, rows: int, columns: int) -> Tensor:
    """x[:, :, ::rows, ::columns] of images [N, C, H, W], whose gradient is in channels-last order too."""
    return _TakeEvery.apply(x, rows, columns)


class _TakeEvery(torch.autograd.Function):
    @staticmethod
    def forward(context: Any, x: Tensor, rows: int, columns: int) -> Tensor:
        context.shape, context.steps = x.shape, (rows, columns)
        return x[:, :, ::rows, ::columns].contiguous(memory_format=torch.channels_last)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        rows, columns = context.steps
        of_x = torch.empty(
            context.shape, dtype=gradient.dtype, device=gradient.device, memory_format=torch.channels_last
        ).zero_()
        of_x[:, :, ::rows, ::columns] = gradient
        return of_x, None, None
