"""Muon, the optimizer of the fast recipe; the others come from `torch.optim`."""

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from ..system import device as devices

# a, b, c of the polynomial a x + b x³ + c x⁵. Jordan et al. (2024) chose them so that it rises steeply at 0,
# because small singular values need the most growth, and keeps values that have reached 0.68 to 1.21 there.
QUINTIC = (3.4445, -4.7750, 2.0315)
EPSILON = 1e-7  # so that a matrix of zeros stays one instead of becoming nan
# The largest matrices, by how many numbers they have, that a CPU multiplies faster together than one by one:
# beyond this size a product keeps all cores busy by itself (measured).
STACKED_NUMBERS = 2**18


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal, for convolution filters; SGD for all other weights.

    With gradient G, momentum buffer M and filters W, seen as matrices with one row per output channel::

        M ← β M + G
        W ← √rows · W / ‖W‖            filters of a mean square length of one
        W ← W − rate · orthogonalize(G + β M)

    All directions of the step are about equally long, so rare features learn as fast as common ones. The
    other weights take the step of SGD with Nesterov's momentum, each group at its own multiple of the rate.

    Source: Jordan et al. (2024), "Muon: An Optimizer for Hidden Layers in Neural Networks". The
    normalised filters and both values of momentum come from their program for CIFAR-10, airbench94_muon.

    Args:
        filters: weights of two or more dimensions, the output channels first.
        others: groups of further weights, dicts with "params" and "scale", the rate as a multiple of `lr`.
        lr: the rate. Between steps, "lr" of each group may be set to a number, or to a tensor without
            dimensions on the device of the weights.
        weight_decay: decoupled: each step multiplies the weights of `others` by 1 − rate · weight_decay, in
            which the rate is not multiplied by "scale". Filters have none, because their length is fixed.
        momentum: β of the filters.
        other_momentum: β of the others.
    """

    # GradScaler then leaves the division of gradients and the skipping of an overflow to `step`, and need not
    # wait for the GPU to learn whether there was one.
    _step_supports_amp_scaling = True

    def __init__(
        self,
        filters: Sequence[Tensor],
        others: Sequence[dict[str, Any]],
        lr: float,
        weight_decay: float = 0.0,
        momentum: float = 0.6,
        other_momentum: float = 0.85,
    ):
        groups = [{"params": filters, "orthogonal": True, "momentum": momentum, "scale": 1.0}]
        groups += [group | {"orthogonal": False, "momentum": other_momentum} for group in others]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self) -> None:  # type: ignore[override]  # without a closure, which nothing here needs
        """Take a step with the gradients of all weights that have one."""
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._step(group, weights)

    def _step(self, group: dict[str, Any], weights: list[Tensor]) -> None:
        beta, rate = group["momentum"], group["lr"]
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        buffers = [self.state[weight]["momentum_buffer"] for weight in weights]
        gradients: list[Any] = [weight.grad for weight in weights]
        # GradScaler sets both during a step: whether a gradient overflowed, and the factor of all gradients.
        overflow: Any = getattr(self, "found_inf", None)
        scale: Any = getattr(self, "grad_scale", None)
        if overflow is not None:
            before = [value.clone() for value in (*weights, *buffers)]
            gradients = list(torch._foreach_div(gradients, scale))
        torch._foreach_mul_(buffers, beta)
        torch._foreach_add_(buffers, gradients)
        steps = list(torch._foreach_add(gradients, buffers, alpha=beta))
        if group["orthogonal"]:
            lengths = torch._foreach_norm(weights)
            torch._foreach_mul_(lengths, [len(weight) ** -0.5 for weight in weights])
            torch._foreach_div_(weights, lengths)
            steps = _all_orthogonal(steps)
        elif group["weight_decay"]:
            torch._foreach_mul_(weights, 1 - rate * group["weight_decay"])
        torch._foreach_mul_(steps, rate * -group["scale"])
        torch._foreach_add_(weights, steps)
        if overflow is not None:
            for value, old in zip((*weights, *buffers), before, strict=True):
                value.copy_(torch.where(overflow > 0, old, value))


def _all_orthogonal(steps: Sequence[Tensor]) -> list[Tensor]:
    """`orthogonalize` of the step of each layer's filters; those of one shape share their products."""
    # The result does not depend on the order of the columns, and this is their order in channels-last memory.
    matrices = [step.movedim(1, -1).flatten(1) for step in steps]
    alike: dict[Any, list[int]] = {}
    for place, matrix in enumerate(matrices):
        alone = matrix.device.type == "cpu" and matrix.numel() > STACKED_NUMBERS
        alike.setdefault(place if alone else matrix.shape, []).append(place)
    for places in alike.values():
        if len(places) == 1:
            found = [orthogonalize(matrices[places[0]])]
        else:
            found = list(orthogonalize(torch.stack([matrices[place] for place in places])))
        for place, matrix in zip(places, found, strict=True):
            matrices[place] = matrix
    return [
        matrix.view_as(step.movedim(1, -1)).movedim(-1, 1)
        for matrix, step in zip(matrices, steps, strict=True)
    ]


def orthogonalize(matrix: Tensor, iterations: int = 3) -> Tensor:
    """A matrix with the singular vectors of `matrix` whose singular values are all about one.

    The iteration of Newton and Schulz with a polynomial of degree five, which needs only products. It starts
    from X = `matrix` / ‖`matrix`‖, with the Frobenius norm::

        X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X

    After the three iterations that Jordan's program takes, singular values lie between 0.68 and 1.21, except
    those that were below a fiftieth of the norm, which are smaller. The products are rounded to the
    precision of a training step, because the result need not be exact.

    Source: Jordan et al. (2024), "Muon: An Optimizer for Hidden Layers in Neural Networks".

    Args:
        matrix: [rows, columns], or several of them as [N, rows, columns].

    Returns:
        A tensor of the same shape and dtype.
    """
    a, b, c = QUINTIC
    add_product = torch.addmm if matrix.ndim == 2 else torch.baddbmm
    length = torch.linalg.vector_norm(matrix, dim=(-2, -1), keepdim=True)
    x = (matrix / (length + EPSILON)).to(devices.training_dtype(matrix.device))
    tall = x.shape[-2] > x.shape[-1]  # X Xᵀ of the wide form is smaller
    x = x.mT if tall else x
    for _ in range(iterations):
        square = x @ x.mT
        x = add_product(x, add_product(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrix.dtype)
