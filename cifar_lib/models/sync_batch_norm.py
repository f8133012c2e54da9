"""Batch norm over a batch that several processes share."""

import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from ..system import distributed


def replicate(model):
    """The model, on the CPU, with the first process's weights and batch norms that see the whole batch."""
    if distributed.world_size() == 1:
        return model
    # The seed gives all the same weights; those computed from images may differ by processor.
    model.load_state_dict(distributed.on_first(model.state_dict))
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.__class__ = SyncBatchNorm  # weights, averages and settings stay
    return model


class SyncBatchNorm(nn.BatchNorm2d):
    """Batch norm over the whole batch, of which this process has a part.

    What `torch.nn.SyncBatchNorm` does on GPUs, for GPUs and CPUs.
    """

    def forward(self, x):
        if not self.training:
            return super().forward(x)
        with torch.no_grad():
            mean, variance, pixels = _statistics(x)
            self.running_mean.lerp_(mean, self.momentum)
            self.running_var.lerp_(variance * pixels / (pixels - 1), self.momentum)
            self.num_batches_tracked += 1
        return _Normalized.apply(x, self.weight, self.bias, mean, variance, pixels, self.eps)


def _statistics(x):
    """Mean, biased variance [C] and number of pixels of a channel, of all processes' x, in float32."""
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

    Source: Ioffe and Szegedy (2015), section 3, for the derivatives.
    """

    @staticmethod
    def forward(context, x, weight, bias, mean, variance, pixels, eps):
        context.save_for_backward(x, weight, mean, (variance + eps).rsqrt(), pixels)
        return F.batch_norm(x, mean, variance, weight, bias, eps=eps)

    @staticmethod
    def backward(context, gradient):
        x, weight, mean, scale, pixels = context.saved_tensors
        mean, scale, weight = (values.view(-1, 1, 1) for values in (mean, scale, weight))
        gradient, normal = gradient.float(), (x.float() - mean) * scale
        of_bias, of_weight = gradient.sum((0, 2, 3)), (gradient * normal).sum((0, 2, 3))
        sums = torch.stack([of_bias, of_weight])
        distributed.all_reduce([sums])
        by_shift, by_scale = (sums / pixels).view(2, -1, 1, 1)
        of_x = weight * scale * (gradient - by_shift - normal * by_scale)
        # The gradients of weight and bias are this process's: they are added up with all others.
        return of_x.to(x.dtype), of_weight, of_bias, None, None, None, None
