"""Recipes: what to train, on what, and how. `RECIPES` holds all of the book's, `get` finds one by name."""

from .catalogue import RECIPES, changes_of, get, under_own_name
from .recipe import LOSSES, OPTIMIZERS, SCHEDULES, Recipe

__all__ = ["LOSSES", "OPTIMIZERS", "RECIPES", "SCHEDULES", "Recipe", "changes_of", "get", "under_own_name"]
