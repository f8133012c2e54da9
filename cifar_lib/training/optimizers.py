"""What training minimises, and the optimizer that does it."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..recipes import Recipe
from .muon import Muon

# Rates of the last layer (a matrix) and of the biases (vectors), as multiples of the filters' rate: Muon
# makes all steps of the filters equally long, so their rate does not suit weights that SGD moves.
# airbench94_muon (Jordan 2024) has 0.67 and 0.053 beside 0.24, for a loss summed over 2,000 images and logits
# divided by the width, 256. For a mean loss and logits divided by the width's root, as here, that is 22 and
# 440; these are half of it.
MUON_SCALES = {2: 11, 1: 220}


def training_loss(recipe: Recipe, logits: Tensor, labels: Tensor) -> Tensor:
    """Cross entropy, or the squared distance of the logits from the one-hot label (Hui and Belkin 2021).

    The second is summed over the classes; both are means over the batch. Cross entropy may smooth
    the labels (Szegedy et al. 2016, section 7).

    Args:
        logits: [N, classes].
        labels: int64 [N].
    """
    if recipe.loss == "squared-error":
        target = F.one_hot(labels, logits.shape[1])
        return (logits.float() - target).square().sum(1).mean()
    return F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)


def make_optimizer(recipe: Recipe, model: nn.Module) -> torch.optim.Optimizer:
    """Adam, AdamW, SGD with momentum 0.9, or Muon, as the recipe says."""
    settings = {"lr": recipe.rate, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "muon":
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        by_dimensions = {n: [weight for weight in trained if weight.ndim == n] for n in (4, 2, 1)}
        others = [{"params": by_dimensions[n], "scale": MUON_SCALES[n]} for n in MUON_SCALES]
        return Muon(by_dimensions[4], [group for group in others if group["params"]], **settings)
    settings["fused"] = True
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=True, **settings)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    # Then a step may be recorded as a CUDA graph, which reads its rate on the device.
    graphs = next(model.parameters()).device.type == "cuda"
    return kind(model.parameters(), capturable=graphs, **settings)
