"""The optimizers of the recipes."""

import torch

from cifar_lib.recipes import RECIPES
from cifar_lib.training import make_optimizer


def test_the_papers_optimizer_is_adam_as_it_was_published():
    optimizer = make_optimizer(RECIPES["paper"], torch.nn.Linear(2, 2))
    assert type(optimizer) is torch.optim.Adam
    assert (optimizer.defaults["lr"], optimizer.defaults["weight_decay"]) == (0.01, 0.003)
    assert (optimizer.defaults["betas"], optimizer.defaults["eps"]) == ((0.9, 0.999), 1e-8)
