"""A recording that is killed again and again ends as one that was left alone, bit for bit.

What is compared: every byte of the weights, and every entry of the record but its times: "seconds",
and "seconds" and "training_seconds" of each epoch. On one machine and with one number of threads:
another may add in another order, and so round otherwise.
"""

import json
import os
import random
import signal
import subprocess
import sys
import time

import fakes
import pytest
import torch
from processes import ENVIRONMENT, RECIPES, TOY

from cifar_lib import runs
from cifar_lib.data import generated

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
SEED = 5


def recording(name, folder):
    return ("record", name, "--seeds", SEED, "--folder", folder, "--device", "cpu", "--keep-weights")


def outcome(folder, name):
    """The record without its times, and the bytes of the weights and predictions."""
    record = json.loads(runs.record_file(name, SEED, folder).read_text())
    del record["seconds"]
    for entry in record["history"]:
        del entry["seconds"], entry["training_seconds"]
    files = runs.weights_file(name, SEED, folder), runs.predictions_file(name, SEED, folder)
    return record, *(file.read_bytes() for file in files)


def assert_nothing_else(folder, cache, name):
    endings = (".json", ".predictions.gz", ".safetensors")
    expected = fakes.recorded_names(name, seeds=(SEED,), endings=endings)
    assert {path.name for path in folder.iterdir()} == expected
    assert list((cache / "checkpoints").iterdir()) == []


def left_alone(children, folder, cache, name, epochs):
    """The outcome of a recording that nothing disturbs, and the moments that it passes."""
    children.run(*recording(name, folder), epochs=epochs)
    moments = children.moments()
    children.forget()
    assert_nothing_else(folder, cache, name)
    return outcome(folder, name), moments


def die_at(moments, children, folder, cache, name, epochs):
    """Start a recording and let it die at each of the moments in turn; then let it end."""
    deaths = 0
    for moment in moments:
        process = children.start(*recording(name, folder), epochs=epochs, die=moment)
        code, said = children.wait(process)
        assert code == -signal.SIGKILL, f"{moment}: {said}"
        assert children.moments(process)[-1] == moment
        deaths += 1
        for ending in ("json", "safetensors", "gz"):
            left = folder.glob(f".*.{ending}.*.part")
            assert len(list(left)) <= 1
        assert len(list((cache / "checkpoints").glob(".*.part"))) <= 1
    children.run(*recording(name, folder), epochs=epochs)
    return deaths


AIMED = """locked
epoch 1, step 4
checkpoint 1: 10 % written
checkpoint 1: 50 % written
checkpoint 1: 90 % written
checkpoint 1: renamed
epoch 2, step 1
checkpoint 2: synced
checkpoint 2: renamed
epoch 3, step 6
checkpoint 3: 50 % written
checkpoint 3: renamed
weights: 50 % written
weights: synced
weights: renamed
predictions: 50 % written
predictions: renamed
record: 10 % written
record: 90 % written
record: synced
record: renamed
checkpoint removed""".splitlines()


FEW = [AIMED[i] for i in (3, 9, 12, 15, 18)]  # in and between writings, and in an epoch


@pytest.mark.parametrize("aims", [FEW, pytest.param(AIMED, marks=pytest.mark.long)], ids=len)
def test_killed_at_chosen_moments_it_ends_as_if_left_alone(aims, children, tmp_path, cache):
    expected, moments = left_alone(children, tmp_path / "alone", cache, "adam", 3)
    assert [moment for moment in moments if moment in aims] == aims
    deaths = die_at(aims, children, tmp_path / "killed", cache, "adam", 3)
    assert deaths == len(aims)
    assert outcome(tmp_path / "killed", "adam") == expected
    assert_nothing_else(tmp_path / "killed", cache, "adam")


@pytest.mark.long
@pytest.mark.parametrize("name", RECIPES)
def test_killed_at_twenty_random_moments_it_ends_as_if_left_alone(name, children, tmp_path, cache):
    """Twenty of all the moments of a run, drawn with seed 4: in epochs, in and between writings."""
    expected, moments = left_alone(children, tmp_path / "alone", cache, name, 8)
    moments.remove("lock file removed")  # all is done then
    chosen = [moments[i] for i in sorted(random.Random(4).sample(range(len(moments)), 20))]
    for kind in ("epoch", "checkpoint", "weights", "record"):
        assert any(moment.startswith(kind) for moment in chosen), kind
    assert die_at(chosen, children, tmp_path / "killed", cache, name, 8) == 20
    assert outcome(tmp_path / "killed", name) == expected
    assert_nothing_else(tmp_path / "killed", cache, name)


@pytest.mark.long
def test_killed_by_the_clock_twenty_times_it_ends_as_if_left_alone(children, tmp_path, cache):
    """The waits are drawn with seed 3, from 0.05 to 1.2 s after an epoch began; where that is, is chance."""
    epochs, folder, deaths, random_waits = 500, tmp_path / "killed", 0, random.Random(3)
    expected, _ = left_alone(children, tmp_path / "alone", cache, "adam", epochs)
    where = []
    while deaths < 20:
        process = children.start(*recording("adam", folder), epochs=epochs)
        while not children.moments(process)[1:]:
            time.sleep(0.01)
        time.sleep(random_waits.uniform(0.05, 1.2))
        children.kill(process)
        code, said = children.wait(process)
        assert code == -signal.SIGKILL, f"it ended before it was killed 20 times: {said}"
        deaths += 1
        where.append(children.moments(process)[-1])
    assert deaths == 20 and len(set(where)) > 10
    children.run(*recording("adam", folder), epochs=epochs)
    assert outcome(folder, "adam") == expected
    assert_nothing_else(folder, cache, "adam")


@pytest.mark.long
def test_killed_while_safetensors_writes(children, tmp_path, cache):
    """A checkpoint of 150 MB takes long enough to be caught in the middle of its own writing."""
    folder, checkpoints, deaths = tmp_path / "killed", cache / "checkpoints", 0
    expected, _ = left_alone(children, tmp_path / "alone", cache, "large", 4)
    for _ in range(30):
        process = children.start(*recording("large", folder), epochs=4)
        while children.is_running(process) and not list(checkpoints.glob(f".*-{process}-*/*")):
            time.sleep(0.0005)
        children.kill(process)
        code, said = children.wait(process)
        assert code == -signal.SIGKILL, said
        # safetensors writes into a file of this name, and renames it when all is there
        deaths += len(list(checkpoints.glob(f".*-{process}-*/.tmp*")))
        assert len(list(checkpoints.glob(".*.part"))) <= 1
        if deaths == 3:
            break
    assert deaths == 3
    children.run(*recording("large", folder), epochs=4)
    assert outcome(folder, "large") == expected
    assert_nothing_else(folder, cache, "large")


# The same numbers


def test_another_process_gives_the_same_bits(children, tmp_path, cache, monkeypatch):
    """Two interpreters that share nothing but the machine and the number of threads."""
    monkeypatch.setitem(generated.GENERATORS, "toy", TOY)
    children.run(*recording("adam", tmp_path / "there"))
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    runs.train_and_record(RECIPES["adam"], SEED, folder=tmp_path / "here", device="cpu", keep_weights=True)
    torch.set_num_threads(threads)
    assert outcome(tmp_path / "here", "adam") == outcome(tmp_path / "there", "adam")


FRESH = "import sys, processes; sys.exit(processes.alone(sys.argv[1:]))"


@pytest.mark.long
@pytest.mark.parametrize("name", RECIPES)
def test_two_fresh_processes_give_the_same_bits(name, tmp_path):
    for hashes in ("1", "2"):  # the order of sets must have no part in it
        subprocess.run(
            [sys.executable, "-c", FRESH, *map(str, recording(name, tmp_path / hashes))],
            env=os.environ | ENVIRONMENT | {"PYTHONHASHSEED": hashes},
            check=True,
        )
    assert outcome(tmp_path / "1", name) == outcome(tmp_path / "2", name)
