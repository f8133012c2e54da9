"""Runs of a recipe: trained here and now, recorded once, replayed from then on."""

from .queue import Claim, record_all, train_and_record
from .record import Run, as_record, load_record, load_runs, record_file, weights_file
from .replay import (
    load_data,
    profile,
    recipe_for_profile,
    results,
    run,
    run_seeds,
    seeds_of,
    show_profile,
    summarize,
)

__all__ = [
    "Claim",
    "Run",
    "as_record",
    "load_data",
    "load_record",
    "load_runs",
    "profile",
    "recipe_for_profile",
    "record_all",
    "record_file",
    "results",
    "run",
    "run_seeds",
    "seeds_of",
    "show_profile",
    "summarize",
    "train_and_record",
    "weights_file",
]
