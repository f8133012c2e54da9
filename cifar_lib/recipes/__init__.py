"""Recipes: what to train, on what, and how. `RECIPES` holds all of the book's, `get` finds one by name."""

from .catalogue import RECIPES, get
from .recipe import LOSSES, OPTIMIZERS, SCHEDULES, Recipe

__all__ = ["LOSSES", "OPTIMIZERS", "RECIPES", "SCHEDULES", "Recipe", "get"]
