"""The table of recorded runs and its JSON say what the records say, group by group."""

import dataclasses
import json
import shutil
from types import SimpleNamespace

import all_runs
import numpy as np
import pytest

from cifar_lib import runs

KEPT = runs.record.RECORDED


@pytest.fixture
def table():
    """The lines of the table as Sphinx gets them."""
    return lambda: all_runs.RecordedRuns.lines(None)


def keep(folder, seed, accuracy, device, n_test=1017):
    """Write a recorded run of the small network with another device and result."""
    run = runs.load_record(KEPT / "small-seed0.json")
    result = run.result | {"test_accuracy": accuracy, "val_accuracy": accuracy}
    changed = dataclasses.replace(
        run,
        seed=seed,
        result=result,
        environment=run.environment | {"device": device},
        data=run.data | {"n_test": n_test},
    )
    folder.mkdir(exist_ok=True)
    runs.record_file("small", seed, folder).write_text(json.dumps(runs.as_record(changed)))


def test_each_device_has_its_row_with_its_mean_and_spread(table, recorded_folder):
    for seed, accuracy in enumerate((0.5, 0.6, 0.7)):
        keep(recorded_folder, seed, accuracy, "CPU (one), 1 thread, bfloat16")
    for seed, accuracy in ((3, 0.8), (4, 0.82)):
        keep(recorded_folder, seed, accuracy, "NVIDIA H100, bfloat16")
    first, second = [line for line in table() if line.startswith("| `small`")]
    assert "| 60.0 ± 10.0 % | 1,017 | 60.0 ± 10.0 % | 0-2 |" in first and first.endswith("| A |")
    assert "| 81.0 ± 1.4 % | 1,017 | 81.0 ± 1.4 % | 3-4 |" in second and second.endswith("| B |")
    assert table()[-1].startswith("Devices: A: CPU (one), 1 thread, bfloat16, PyTorch 2.")
    assert "; B: NVIDIA H100, bfloat16, PyTorch" in table()[-1]
    assert table()[-1].endswith(" 2 of 5 recorded runs used a GPU.")


def test_that_no_gpu_was_used_is_read_from_the_records(table, recorded_folder):
    keep(recorded_folder, 0, 0.5, "CPU (one), 1 thread, float32")
    assert table()[-1].endswith(". No recorded run used a GPU.")


def test_runs_on_different_test_images_have_rows_of_their_own(table, recorded_folder):
    keep(recorded_folder, 0, 0.5, "CPU")
    keep(recorded_folder, 1, 0.6, "CPU", n_test=10_000)
    first, second = [line for line in table() if line.startswith("| `small`")]
    assert "| 50.0 % | 1,017 |" in first and "| 60.0 % | 10,000 |" in second
    assert all_runs.identities(all_runs.groups()) == ["small", "small@A"]


def test_every_recorded_run_is_in_the_table_and_in_the_json(table):
    kept = [runs.load_record(path) for path in KEPT.rglob("*.json")]
    groups = all_runs.as_json(all_runs.groups(), "")["groups"]
    listed = [(group["recipe"], run["seed"], run["seconds"]) for group in groups for run in group["runs"]]
    assert sorted(listed) == sorted((run.recipe.name, run.seed, run.seconds) for run in kept)
    assert len([line for line in table() if line.startswith("| `")]) == len(groups)


def test_the_link_of_each_run_leads_to_its_record():
    for group in all_runs.as_json(all_runs.groups(), "")["groups"]:
        for run in group["runs"]:
            assert (KEPT / f"{group['recipe']}-seed{run['seed']}.json").exists()


@pytest.mark.parametrize(("seeds", "text"), [([2, 0, 1], "0-2"), ([4], "4"), ([0, 2, 5], "0,2,5")])
def test_seeds_are_written_as_the_command_line_takes_them(seeds, text):
    assert all_runs.seeds_of([SimpleNamespace(seed=seed) for seed in seeds]) == text


def test_agreement_counts_images_by_who_is_right():
    first = np.array([[1, 1, 1, 0, 0, 0]], bool)
    second = np.array([[1, 0, 0, 1, 0, 0]], bool)
    assert all_runs.pairs(first, second, same=False) == [1, 2, 1, 2]


def test_a_run_is_not_compared_with_itself():
    several = np.array([[1, 1, 0, 0], [1, 0, 1, 0], [1, 0, 0, 1]], bool)
    assert all_runs.pairs(several, several, same=True) == [1, 1, 1, 1]


def test_agreement_adds_up_to_the_accuracies_of_the_records(recorded_folder):
    for path in [*KEPT.glob("mlp-grey-seed[01].*"), KEPT / "cifar10.labels.gz"]:
        shutil.copy(path, recorded_folder)
    counted = all_runs.as_json(all_runs.groups(), "")["agreement"]
    both, only_first, only_second, neither = counted["mlp-grey mlp-grey"]
    shares = runs.results(runs.load_runs("mlp-grey"))
    assert both + only_first == pytest.approx(10_000 * np.mean(shares), abs=0.2)
    assert both + only_first + only_second + neither == pytest.approx(10_000, abs=0.3)
