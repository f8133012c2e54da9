"""Muon, the optimizer of the fast recipe; the others come from `torch.optim`."""

import torch

from . import device as devices

QUINTIC = (3.4445, -4.7750, 2.0315)  # steepest at 0: small singular values grow fastest


class Muon(torch.optim.Optimizer):
    """Momentum whose step is made orthogonal, for the filters; SGD for everything else.

    With gradient G, momentum buffer M and filters W, seen as matrices with a row for each output::

        M ← β M + G
        W ← √rows · W / ‖W‖            each filter keeps a length of about one
        W ← W − rate · orthogonal(G + β M)

    Every direction of the step is as long as every other, so rare features learn as fast as common
    ones. Biases and the last layer take Nesterov's step, at their own multiple of the rate. Source:
    Jordan et al. (2024), "Muon"; the normalised filters are those of their CIFAR-10 program.

    Args:
        filters: weights of two or more dimensions, the outputs first.
        others: a list of groups, dicts with "params", and "scale": the rate as a multiple of `lr`.
        lr: the rate; the groups' "lr" may be changed between steps.
        weight_decay: decoupled, of `others` alone, for the length of the filters is fixed: a step
            takes this share of a weight, times the rate without its "scale".
    """

    def __init__(self, filters, others, lr, weight_decay=0.0, momentum=0.6, other_momentum=0.85):
        groups = [{"params": filters, "orthogonal": True, "momentum": momentum, "scale": 1.0}]
        groups += [group | {"orthogonal": False, "momentum": other_momentum} for group in others]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            for weight in group["params"]:
                if weight.grad is not None:
                    self._step(group, weight)

    def _step(self, group, weight):
        beta, rate = group["momentum"], group["lr"]
        state = self.state[weight]
        if not state:
            state["momentum_buffer"] = torch.zeros_like(weight)
        buffer = state["momentum_buffer"]
        buffer.mul_(beta).add_(weight.grad)
        step = weight.grad.add(buffer, alpha=beta)
        if group["orthogonal"]:
            weight.mul_(len(weight) ** 0.5 / weight.norm())
            step = orthogonal(step.flatten(1)).view_as(weight)
        else:
            weight.mul_(1 - rate * group["weight_decay"])
        weight.add_(step, alpha=-rate * group["scale"])


def orthogonal(matrix, iterations=3):
    """A matrix of the same singular vectors whose singular values lie near one, roughly 0.5 to 1.5.

    Newton and Schulz's iteration with a polynomial of degree five, which needs only products::

        X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X

    In the precision of a training step, for the result need not be exact. Source: Jordan et al.
    (2024), "Muon".
    """
    a, b, c = QUINTIC
    x = (matrix / (matrix.norm() + 1e-7)).to(devices.training_dtype(matrix.device))
    tall = len(x) > x.shape[1]
    x = x.T if tall else x
    for _ in range(iterations):
        square = x @ x.T
        x = a * x + (b * square + c * square @ square) @ x
    return (x.T if tall else x).to(matrix.dtype)
