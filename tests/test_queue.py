"""Two real processes record the same runs: each run is trained once, and killing one loses nothing."""

import os
import subprocess
import sys
import time
from collections import Counter

import pytest

from cifar_lib import recipes, runs

LIMIT = 300  # seconds for what takes ten on a free machine

# Writes "NAME SEED EPOCH PID" to a log before each epoch. Nobody goes on before both have begun, so
# that both have a part in the work; one that is told to hang does so after that many epochs.
WORKER = r"""
import os, sys, time
from functools import partial
from pathlib import Path

from cifar_lib import toy, train
from cifar_lib.__main__ import main

log, hang_after = Path(sys.argv[1]), int(sys.argv[2])
toy.GENERATORS["toy"] = partial(toy.toy, 400, 100)
train_epoch, save_checkpoint = train.train_epoch, train.save_checkpoint


def logged(recipe, model, optimizer, images, seed, epoch):
    with open(log, "a") as file:
        file.write(f"{recipe.name} {seed} {epoch} {os.getpid()}\n")
    while len({line.split()[3] for line in log.read_text().splitlines()}) < 2:
        time.sleep(0.05)
    return train_epoch(recipe, model, optimizer, images, seed, epoch)


def hanging(path, recipe, dataset, seed, state, optimizer):
    save_checkpoint(path, recipe, dataset, seed, state, optimizer)
    if len(state.history) == hang_after:
        log.with_name("hangs").touch()
        time.sleep(3600)


train.train_epoch, train.save_checkpoint = logged, hanging
sys.exit(main(sys.argv[3:]))
"""

NAMES, SEEDS = ("mlp-quick", "small-quick"), range(4)
EPOCHS = Counter(
    (name, seed, epoch)
    for name in NAMES
    for seed in SEEDS
    for epoch in range(1, recipes.get(name).epochs + 1)
)


@pytest.fixture
def place(tmp_path):
    """Where the two processes write."""
    return tmp_path / "shared"


@pytest.fixture
def start(tmp_path):
    """Start a process that records all of NAMES and SEEDS; none of them outlives the test."""
    processes = []

    def start(place, hang_after=0):
        command = [sys.executable, "-c", WORKER, tmp_path / "log", str(hang_after), "record", *NAMES]
        command += ["--seeds", f"{SEEDS[0]}-{SEEDS[-1]}", "--folder", place, "--device", "cpu"]
        processes.append(
            subprocess.Popen(
                command,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                env=os.environ | {"OMP_NUM_THREADS": "1"},
            )
        )
        return processes[-1]

    yield start
    for process in processes:
        process.kill()
        process.communicate()


def said(process):
    """All that a process prints until it ends, well."""
    text, _ = process.communicate(timeout=LIMIT)
    assert process.returncode == 0, text
    return text


def wait_until(condition, *processes):
    end = time.monotonic() + LIMIT
    while not condition():
        assert time.monotonic() < end, "it takes too long"
        assert all(process.poll() is None for process in processes), "a process ended early"
        time.sleep(0.05)


def trained(tmp_path):
    """{process id: the (name, seed, epoch) that it trained}."""
    found = {}
    for line in (tmp_path / "log").read_text().splitlines():
        name, seed, epoch, process = line.split()
        found.setdefault(int(process), []).append((name, int(seed), int(epoch)))
    return found


def assert_all_recorded(place, cache):
    assert {path.name for path in place.iterdir()} == {f"{n}-seed{s}.json" for n in NAMES for s in SEEDS}
    for name in NAMES:
        for run, seed in zip(runs.recorded(name, place), SEEDS, strict=True):
            assert (run.recipe, run.seed) == (recipes.get(name), seed)
            assert len(run.history) == run.recipe.epochs
    assert list((cache / "checkpoints").iterdir()) == []


def test_two_processes_train_each_run_once(start, place, cache, tmp_path):
    one, other = start(place), start(place)
    texts = [said(process) for process in (one, other)]
    found = trained(tmp_path)
    assert set(found) == {one.pid, other.pid}
    assert Counter(found[one.pid] + found[other.pid]) == EPOCHS
    whole = [{run[:2] for run in epochs} for epochs in found.values()]
    assert not whole[0] & whole[1]  # no run was shared
    assert_all_recorded(place, cache)
    for text in texts:  # each tells of every run in the end, whoever trained it
        assert all(f"{name}, seed {seed}: test accuracy" in text for name in NAMES for seed in SEEDS)


@pytest.mark.skipif(sys.platform == "win32", reason="SIGKILL")
def test_when_one_is_killed_the_other_finishes_its_run_too(start, place, cache, tmp_path):
    victim, other = start(place, hang_after=2), start(place)
    wait_until((tmp_path / "hangs").exists, victim, other)
    wait_until(lambda: len(list(place.glob("*.json"))) == len(NAMES) * len(SEEDS) - 1, victim, other)
    victim.kill()
    text = said(other)
    assert victim.wait(LIMIT) == -9
    found = trained(tmp_path)
    ((name, seed, _), _) = found[victim.pid]
    assert found[victim.pid] == [(name, seed, 1), (name, seed, 2)]
    # What the killed process had done was not done again: the other went on from its checkpoint.
    assert Counter(found[victim.pid] + found[other.pid]) == EPOCHS
    assert found[other.pid][-2:] == [(name, seed, 3), (name, seed, 4)]
    assert f"{name}, seed {seed}\n  another process is at it" in text
    assert_all_recorded(place, cache)
