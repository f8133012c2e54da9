"""The runs recorded on all test images: each has its predictions, and its results are theirs."""

import pytest

from cifar_lib import runs

FOLDER = runs.record.RECORDED / runs.record.ALL_TEST_IMAGES
NAMES = sorted({path.stem.rpartition("-seed")[0] for path in FOLDER.glob("*.json")})


@pytest.mark.parametrize("name", NAMES)
def test_results_come_from_the_predictions(name):
    for run in runs.load_runs(name, FOLDER):
        labels, _ = runs.load_labels(runs.labels_file(run.data["name"], FOLDER))
        assert run.data["n_test"] == 10_000
        for part in ("val", "test"):
            found = run.predictions(part)
            assert len(found) == len(labels[part]) == run.data[f"n_{part}"]
            assert found.accuracy(labels[part]) == run.result[f"{part}_accuracy"]
            assert found.top2(labels[part]) == run.result[f"{part}_top2"]
