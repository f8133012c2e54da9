"""How large a network is and how much it computes."""

import torch
from torch import nn


def count_parameters(model):
    """How many numbers training adjusts."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_flops(model, shape=(3, 32, 32)):
    """Floating-point operations of the forward pass of one image (a multiply-add counts as two).

    Those of convolutions and linear layers, as `torch.utils.flop_counter` counts them too; that brings
    150 MB of compiler along.
    """
    counts = []

    def count(layer, inputs, output):
        counts.append(2 * output.numel() * layer.weight[0].numel())

    layers = [layer for layer in model.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    handles = [layer.register_forward_hook(count) for layer in layers]
    training = model.training
    model.eval()
    with torch.no_grad():
        model(torch.zeros(1, *shape, device=next(model.parameters()).device))
    model.train(training)
    for handle in handles:
        handle.remove()
    return sum(counts)
