"""Batch norm over a batch that several processes share."""

from typing import Any

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from .. import CourseError
from ..system import distributed
from .kernels.layers import is_complete


def replicate(model: nn.Module) -> nn.Module:
    """Give every process the first one's weights, and batch norms that see the whole batch.

    Args:
        model: on the CPU, of the same kind in each process.

    Returns:
        The same model, changed in place; with one process it is left as it was.

    Raises:
        CourseError: a batch norm is not a complete `nn.BatchNorm2d`; or as `distributed.all_reduce`.
    """
    if distributed.world_size() == 1:
        return model
    norms = {name: layer for name, layer in model.named_modules() if isinstance(layer, _BatchNorm)}
    for name, layer in norms.items():
        if not is_complete(layer):
            raise CourseError(
                f"Several processes cannot share the batch norm {name!r} ({type(layer).__name__}): train in "
                f"one process, or use nn.BatchNorm2d with weights, running averages and a momentum."
            )
    # The seed gives all processes the same weights, but those computed from images may differ by processor.
    model.load_state_dict(distributed.on_first(model.state_dict))
    for layer in norms.values():
        layer.__class__ = SyncBatchNorm  # keeps its weights, averages and settings
    return model


class SyncBatchNorm(nn.BatchNorm2d):
    """Batch norm over the whole batch, of which this process has a part.

    `torch.nn.SyncBatchNorm` does the same on GPUs alone; this one also works on CPUs.
    """

    running_mean: Tensor
    running_var: Tensor
    num_batches_tracked: Tensor
    momentum: float

    def forward(self, x: Tensor) -> Tensor:
        if not self.training:
            return super().forward(x)
        with torch.no_grad():
            mean, variance, pixels = _statistics(x)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * pixels / (pixels - 1), self.momentum)
            self.num_batches_tracked += 1
        return _Normalized.apply(x, self.weight, self.bias, mean, variance, pixels, self.eps)


def _statistics(x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Mean [C], biased variance [C] and number of pixels per channel of all processes' x, in float32."""
    variance, mean = torch.var_mean(x.float(), (0, 2, 3), correction=0)
    mine = torch.cat([mean, variance, mean.new_full((1,), x.numel() / x.shape[1])])
    rows = [torch.empty_like(mine) for _ in range(distributed.world_size())]
    distributed.exchange(dist.all_gather, rows, mine)
    channels = len(mean)
    means, variances, pixels = torch.stack(rows).split([channels, channels, 1], dim=1)
    total = pixels.sum()
    mean = (pixels * means).sum(0) / total
    return mean, (pixels * (variances + (means - mean).square())).sum(0) / total, total


class _Normalized(torch.autograd.Function):
    """(x - mean) / deviation * weight + bias, where mean and deviation depend on all processes' x.

    The derivatives are those of Ioffe and Szegedy (2015), section 3.
    """

    @staticmethod
    def forward(
        context: Any,
        x: Tensor,
        weight: Tensor,
        bias: Tensor,
        mean: Tensor,
        variance: Tensor,
        pixels: Tensor,
        eps: float,
    ) -> Tensor:
        context.save_for_backward(x, weight, mean, (variance + eps).rsqrt(), pixels)
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps)

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        x, weight, mean, scale, pixels = context.saved_tensors
        mean, scale, weight = (values.view(-1, 1, 1) for values in (mean, scale, weight))
        gradient, normal = gradient.float(), (x.float() - mean) * scale
        of_bias, of_weight = gradient.sum((0, 2, 3)), (gradient * normal).sum((0, 2, 3))
        sums = torch.stack([of_bias, of_weight])
        distributed.all_reduce([sums])
        by_shift, by_scale = (sums / pixels).view(2, -1, 1, 1)
        of_x = weight * scale * (gradient - by_shift - normal * by_scale)
        # Those of weight and bias are this process's alone, because the training loop adds up everyone's.
        return of_x.to(x.dtype), of_weight, of_bias, None, None, None, None
