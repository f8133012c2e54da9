"""What a trained network gets right, and how certain such a number is."""

from .comparisons import (
    Estimate,
    accuracy_interval,
    difference_interval,
    holm,
    mcnemar,
    welch,
    welch_interval,
)
from .predictions import (
    accuracy,
    calibration,
    confusion,
    loss,
    predict,
    predict_plain_and_mean,
    top_k,
    weighted_views,
)
from .statistics import format_percent, mean_and_spread, wilson_interval
from .temperature import classify, fit_temperature

__all__ = [
    "Estimate",
    "accuracy",
    "accuracy_interval",
    "calibration",
    "classify",
    "confusion",
    "difference_interval",
    "fit_temperature",
    "format_percent",
    "holm",
    "loss",
    "mcnemar",
    "mean_and_spread",
    "predict",
    "predict_plain_and_mean",
    "top_k",
    "weighted_views",
    "welch",
    "welch_interval",
    "wilson_interval",
]
