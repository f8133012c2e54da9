"""Recipes: what to train, on what, and how. `RECIPES` has every one of the book, `get` finds one by name."""

from .catalogue import RECIPES, get
from .recipe import SCHEDULES, Recipe

__all__ = ["RECIPES", "SCHEDULES", "Recipe", "get"]
