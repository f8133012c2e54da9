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
from pathlib import Path

import fakes
import pytest
import torch
from processes import RECIPES, Children

from cifar_lib import CourseError, data, files, runs, train

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork and SIGKILL")
SEED = 5


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    children = Children(tmp_path_factory.mktemp("processes"))
    yield children
    children.stop()


@pytest.fixture
def children(server, tmp_path):
    server.folder = tmp_path
    yield server
    for process in list(server.running):
        os.kill(process, signal.SIGKILL)
        server.wait(process)


def recording(name, folder):
    return ("record", name, "--seeds", SEED, "--folder", folder, "--device", "cpu", "--keep-weights")


def outcome(folder, name):
    """The record without its times, and the bytes of the weights."""
    record = json.loads(runs.record_file(name, SEED, folder).read_text())
    del record["seconds"]
    for entry in record["history"]:
        del entry["seconds"], entry["training_seconds"]
    return record, runs.weights_file(name, SEED, folder).read_bytes()


def assert_nothing_else(folder, cache, name):
    ending = (".json", ".safetensors")
    assert sorted(path.name for path in folder.iterdir()) == [f"{name}-seed{SEED}{end}" for end in ending]
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
        asides = [*folder.glob(".*.part"), *(cache / "checkpoints").glob(".*.part")]
        paths = [aside.name.partition(".safetensors.")[0].partition(".json.")[0] for aside in asides]
        assert len(asides) <= 3 and len(paths) <= 3  # checkpoint, weights and record: one each at most
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
record: 10 % written
record: 90 % written
record: synced
record: renamed
checkpoint removed""".splitlines()


def test_killed_at_every_kind_of_moment_it_ends_as_if_left_alone(children, tmp_path, cache):
    expected, moments = left_alone(children, tmp_path / "alone", cache, "adam", 3)
    assert [moment for moment in moments if moment in AIMED] == AIMED
    deaths = die_at(AIMED, children, tmp_path / "killed", cache, "adam", 3)
    assert deaths == len(AIMED) == 20
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
