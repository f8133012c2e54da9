"""How large a network is and how much it computes."""

import torch
from torch import Tensor, nn

from .modes import device_of, evaluation_mode


def count_parameters(model: nn.Module) -> int:
    """The number of weights that training adjusts; frozen ones are not counted."""
    return sum(p.numel() for p in model.parameters() if p.requires_grad)


def count_flops(model: nn.Module, shape: tuple[int, int, int] = (3, 32, 32)) -> int:
    """Floating-point operations of the forward pass of one image; a multiply-add counts as two.

    Counted are the products of convolutions and linear layers, without biases, batch norm, activations
    and pooling. The model keeps its weights, and each layer its mode.

    Args:
        shape: channels, height, width of the image.
    """
    # torch.utils.flop_counter counts the same, but importing it takes 150 MB for a compiler.
    counts = []

    def count(layer: nn.Conv2d | nn.Linear, inputs: tuple[Tensor], output: Tensor) -> None:
        counts.append(2 * output.numel() * layer.weight[0].numel())

    layers = [layer for layer in model.modules() if isinstance(layer, (nn.Conv2d, nn.Linear))]
    handles = [layer.register_forward_hook(count) for layer in layers]
    try:
        with torch.no_grad(), evaluation_mode(model):
            model(torch.zeros(1, *shape, device=device_of(model)))
    finally:
        for handle in handles:
            handle.remove()
    return sum(counts)
