"""The loss that training minimises, and the optimizer that minimises it."""

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..recipes import Recipe
from .muon import Muon

# The rates of the last layer's matrix (2 dimensions) and of the biases (1 or none) as multiples of the
# filters' rate, which does not suit weights that SGD moves, because Muon makes every step of the filters
# equally long. Jordan's program airbench94_muon (2024) has rates of 0.67 and 0.053 beside 0.24 for the
# filters. There, the loss is summed over 2,000 images and the logits are divided by the width, 256. Here the
# loss is a mean, which makes gradients 2,000 times smaller, and the logits are divided by √256, which makes
# weights of the last layer 16 times smaller and their gradients 16 times larger. The same steps would need
# rates of 0.67 / 0.24 · 2,000 / 16² = 22 and 0.053 / 0.24 · 2,000 = 440. These are half of that.
MUON_SCALES = {2: 11, 1: 220}


def training_loss(recipe: Recipe, logits: Tensor, labels: Tensor) -> Tensor:
    """The loss of a batch that a recipe's training minimises, the mean over its images.

    For an image it is the cross entropy in nats, whose labels the recipe may smooth (Szegedy et al. 2016,
    section 7), or the squared distance of the logits from the one-hot label, summed over the classes
    (Hui and Belkin 2021).

    Args:
        logits: floating point [N, classes].
        labels: int64 [N].

    Returns:
        A tensor without dimensions, float32 for the squared distance.
    """
    if recipe.loss == "squared-error":
        target = F.one_hot(labels, logits.shape[1])
        return (logits.float() - target).square().sum(1).mean()
    return F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)


def make_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """The recipe's optimizer for all weights of `model`: Adam, AdamW, SGD with momentum 0.9, or Muon.

    The model must already be on the device that trains it.
    """
    settings: dict[str, Any] = {"lr": recipe.rate, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "muon":
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        filters = [weight for weight in trained if weight.ndim > 2]
        matrices = {"params": [weight for weight in trained if weight.ndim == 2], "scale": MUON_SCALES[2]}
        vectors = {"params": [weight for weight in trained if weight.ndim < 2], "scale": MUON_SCALES[1]}
        return Muon(filters, [group for group in (matrices, vectors) if group["params"]], **settings)
    settings["fused"] = True
    if recipe.optimizer == "sgd":
        optimizer = torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=True, **settings)
        # The fused step allocates its momentum without setting it, and skips a gradient that overflows. Where
        # the first one does, as it may in float16, the next step would start from whatever lay in memory.
        # From zero, the first step is the same.
        for weight in model.parameters():
            if weight.requires_grad:
                optimizer.state[weight]["momentum_buffer"] = torch.zeros_like(weight)
        return optimizer
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    # So that a compiled step can be recorded as a CUDA graph, which reads the rate from the GPU's memory.
    graphs = next(model.parameters()).device.type == "cuda"
    return kind(model.parameters(), capturable=graphs, **settings)
