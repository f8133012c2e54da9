"""The table of recorded runs says what the records say, device by device."""

import dataclasses
import json

import course
import pytest

from cifar_lib import runs

KEPT = runs.record.RECORDED


@pytest.fixture
def table():
    """The lines of the table as Sphinx gets them."""
    return lambda: course.RecordedRuns.lines(None)


def keep(folder, seed, accuracy, device):
    """Write a recorded run of the small network with another device and result."""
    run = runs.load_record(KEPT / "small-seed0.json")
    result = run.result | {"test_accuracy": accuracy, "val_accuracy": accuracy}
    changed = dataclasses.replace(
        run, seed=seed, result=result, environment=run.environment | {"device": device}
    )
    runs.record_file("small", seed, folder).write_text(json.dumps(runs.as_record(changed)))


def test_each_device_has_its_row_with_its_mean_and_spread(table, recorded_folder):
    for seed, accuracy in enumerate((0.5, 0.6, 0.7)):
        keep(recorded_folder, seed, accuracy, "CPU (one), 1 thread, bfloat16")
    for seed, accuracy in ((3, 0.8), (4, 0.82)):
        keep(recorded_folder, seed, accuracy, "NVIDIA H100, bfloat16")
    first, second = [line for line in table() if line.startswith("| `small`")]
    assert "| A | 0 1 2 |" in first and "| 60.0 ± 10.0 % | 60.0 ± 10.0 % |" in first
    assert "| B | 3 4 |" in second and "| 81.0 ± 1.4 % | 81.0 ± 1.4 % |" in second
    assert table()[-1].startswith("Devices: A: CPU (one), 1 thread, bfloat16, PyTorch 2.")
    assert "; B: NVIDIA H100, bfloat16, PyTorch" in table()[-1]
    assert table()[-1].endswith(" 2 of 5 recorded runs used a GPU.")


def test_that_no_gpu_was_used_is_read_from_the_records(table, recorded_folder):
    keep(recorded_folder, 0, 0.5, "CPU (one), 1 thread, float32")
    assert table()[-1].endswith(". No recorded run used a GPU.")


def test_every_recorded_run_is_in_a_row(table):
    rows = [line.split("|") for line in table() if line.startswith("| `")]
    shown = {(row[1].strip(" `"), int(seed)) for row in rows for seed in row[4].split()}
    kept = [runs.load_record(path) for path in KEPT.glob("*.json")]
    assert shown == {(run.recipe.name, run.seed) for run in kept}
