"""Muon, the optimizer of the fast recipe; the others come from `torch.optim`."""

import torch

from ..system import device as devices

QUINTIC = (3.4445, -4.7750, 2.0315)  # steepest at 0: small singular values grow fastest
ALONE = 2**18  # numbers of a matrix that a CPU multiplies as quickly by itself as beside others (measured)


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
        lr: the rate; the groups' "lr" may be changed between steps, to a number or to a tensor of none
            dimensions on the weights' device.
        weight_decay: decoupled, of `others` alone, for the length of the filters is fixed: a step
            takes this share of a weight, times the rate without its "scale".
    """

    def __init__(self, filters, others, lr, weight_decay=0.0, momentum=0.6, other_momentum=0.85):
        groups = [{"params": filters, "orthogonal": True, "momentum": momentum, "scale": 1.0}]
        groups += [group | {"orthogonal": False, "momentum": other_momentum} for group in others]
        super().__init__(groups, {"lr": lr, "weight_decay": weight_decay})

    # So GradScaler leaves it to `step` to divide the gradients and to skip an overflow, and need not wait.
    _step_supports_amp_scaling = True

    @torch.no_grad()
    def step(self):
        for group in self.param_groups:
            weights = [weight for weight in group["params"] if weight.grad is not None]
            if weights:
                self._step(group, weights)

    def _step(self, group, weights):
        beta, rate = group["momentum"], group["lr"]
        for weight in weights:
            if not self.state[weight]:
                self.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        buffers = [self.state[weight]["momentum_buffer"] for weight in weights]
        gradients = [weight.grad for weight in weights]
        overflow = getattr(self, "found_inf", None)  # GradScaler sets it for the time of a step
        if overflow is not None:
            before = [value.clone() for value in (*weights, *buffers)]
            gradients = torch._foreach_div(gradients, self.grad_scale)
        torch._foreach_mul_(buffers, beta)
        torch._foreach_add_(buffers, gradients)
        steps = torch._foreach_add(gradients, buffers, alpha=beta)
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


def _all_orthogonal(steps):
    """`orthogonal` of every step of filters, those of one shape in the same products."""
    # The order of the columns is of no account, and this one is that of channels-last memory.
    matrices = [step.movedim(1, -1).flatten(1) for step in steps]
    alike = {}
    for place, matrix in enumerate(matrices):
        alone = matrix.device.type == "cpu" and matrix.numel() > ALONE
        alike.setdefault(place if alone else matrix.shape, []).append(place)
    for places in alike.values():
        if len(places) == 1:
            found = [orthogonal(matrices[places[0]])]
        else:
            found = orthogonal(torch.stack([matrices[place] for place in places]))
        for place, matrix in zip(places, found, strict=True):
            matrices[place] = matrix
    return [
        matrix.view_as(step.movedim(1, -1)).movedim(-1, 1)
        for matrix, step in zip(matrices, steps, strict=True)
    ]


def orthogonal(matrix, iterations=3):
    """A matrix of the same singular vectors whose singular values lie near one, roughly 0.5 to 1.5.

    Newton and Schulz's iteration with a polynomial of degree five, which needs only products::

        X ← a X + b (X Xᵀ) X + c (X Xᵀ)² X

    In the precision of a training step, for the result need not be exact. Source: Jordan et al.
    (2024), "Muon".

    Args:
        matrix: [rows, columns], or several of them as [N, rows, columns].
    """
    a, b, c = QUINTIC
    add_product = torch.addmm if matrix.ndim == 2 else torch.baddbmm
    length = torch.linalg.vector_norm(matrix, dim=(-2, -1), keepdim=True)
    x = (matrix / (length + 1e-7)).to(devices.training_dtype(matrix.device))
    tall = x.shape[-2] > x.shape[-1]
    x = x.mT if tall else x
    for _ in range(iterations):
        square = x @ x.mT
        x = add_product(x, add_product(square, square, square, beta=b, alpha=c), x, beta=a)
    return (x.mT if tall else x).to(matrix.dtype)
