"""Runs of a recipe: trained here and now, recorded once, replayed from then on."""

from .plan import Question, read_plan, runs_left
from .predictions import Predictions, load_labels, load_predictions
from .queue import Claim, record_all, train_and_record
from .record import (
    Run,
    as_record,
    labels_file,
    load_record,
    load_runs,
    predictions_file,
    record_file,
    weights_file,
)
from .replay import (
    difference,
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
    "Predictions",
    "Question",
    "Run",
    "as_record",
    "difference",
    "labels_file",
    "load_data",
    "load_labels",
    "load_predictions",
    "load_record",
    "load_runs",
    "predictions_file",
    "profile",
    "read_plan",
    "recipe_for_profile",
    "record_all",
    "record_file",
    "results",
    "run",
    "run_seeds",
    "runs_left",
    "seeds_of",
    "show_profile",
    "summarize",
    "train_and_record",
    "weights_file",
]
