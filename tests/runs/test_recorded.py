"""Recorded runs on all test images: each has its predictions, and its results are theirs."""

import json

import pytest

from cifar_lib import runs

FOLDER = runs.record.RECORDED
ALL = 10_000  # test images; runs on fewer are older than the files of predictions
PATHS = [
    path for path in sorted(FOLDER.glob("*.json")) if json.loads(path.read_text())["data"]["n_test"] == ALL
]


def test_a_prediction_belongs_to_a_run():
    kept = {path.name.removesuffix(".predictions.gz") for path in FOLDER.glob("*.predictions.gz")}
    assert kept <= {path.stem for path in PATHS}


@pytest.mark.parametrize("path", PATHS, ids=[path.stem for path in PATHS])
def test_results_come_from_the_predictions(path):
    run = runs.load_record(path)
    labels, _ = runs.load_labels(runs.labels_file(run.data["name"]))
    for part in ("val", "test") if run.recipe.holdout else ("test",):
        found = run.predictions(part)
        assert len(found) == len(labels[part]) == run.data[f"n_{part}"]
        assert found.accuracy(labels[part]) == run.result[f"{part}_accuracy"]
        assert found.top2(labels[part]) == run.result[f"{part}_top2"]
