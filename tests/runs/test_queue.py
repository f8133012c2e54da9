"""Two real processes record the same runs: each run is trained once, and killing one loses nothing."""

import os
import random
import shutil
import subprocess
import sys
import time
from collections import Counter

import fakes
import pytest
import torch

from cifar_lib import data, recipes, runs

LIMIT = 300  # seconds for what takes ten on a free machine

LONGER = {"mlp": 32, "small": 16}  # epochs, of which the quick form takes an eighth

# Writes "NAME SEED EPOCH PID" to a log before each epoch. Nobody goes on before both have begun, so
# that both have a part in the work; one that is told to hang does so after that many epochs.
WORKER = r"""
import os, sys, time
from functools import partial
from pathlib import Path

from cifar_lib import recipes, training
from cifar_lib.data import generated
from cifar_lib.__main__ import main

log, hang_after = Path(sys.argv[1]), int(sys.argv[2])
generated.GENERATORS["toy"] = partial(generated.toy, 400, 100)
recipes.recipe.QUICK_EPOCHS = 4  # of them two are left when it hangs
for name, epochs in LONGER.items():
    recipes.RECIPES[name] = recipes.RECIPES[name].replace(epochs=epochs)
train_epoch, save_checkpoint = training.train_epoch, training.save_checkpoint


def logged(recipe, model, optimizer, images, seed, epoch, before_step=None):
    with open(log, "a") as file:
        file.write(f"{recipe.name} {seed} {epoch} {os.getpid()}\n")
    while len({line.split()[3] for line in log.read_text().splitlines()}) < 2:
        time.sleep(0.05)
    return train_epoch(recipe, model, optimizer, images, seed, epoch, before_step)


def hanging(path, key, state, optimizer):
    save_checkpoint(path, key, state, optimizer)
    if len(state.history) == hang_after:
        log.with_name("hangs").touch()
        time.sleep(3600)


training.loop.train_epoch, training.loop.save_checkpoint = logged, hanging
sys.exit(main(sys.argv[3:]))
""".replace("LONGER", repr(LONGER))

NAMES, SEEDS = ("mlp-quick", "small-quick"), range(4)
EPOCHS = Counter(
    (name, seed, epoch)
    for name in NAMES
    for seed in SEEDS
    for epoch in range(1, 5 if name == "mlp-quick" else 3)
)


@pytest.fixture(autouse=True)
def as_many_epochs_as_the_workers(monkeypatch):
    monkeypatch.setattr(recipes.recipe, "QUICK_EPOCHS", 4)
    for name, epochs in LONGER.items():
        monkeypatch.setitem(recipes.RECIPES, name, recipes.RECIPES[name].replace(epochs=epochs))


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


def names_in(place):
    return {path.name for path in place.iterdir()}


def assert_all_recorded(place, cache):
    assert names_in(place) == fakes.recorded_names(*NAMES, seeds=SEEDS)
    for name in NAMES:
        for run, seed in zip(runs.load_runs(name, place), SEEDS, strict=True):
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


# With tiny runs: see processes.py


def recording(place, *names):
    return ("record", *names, "--seeds", "0-1", "--folder", place, "--device", "cpu")


def times_passed(children, *moments):
    return [children.moments().count(moment) for moment in moments]


def test_four_at_once_train_each_run_once(children, place, cache):
    started = [children.start(*recording(place, "adam", "sgd")) for _ in range(4)]
    for process in started:
        code, said = children.wait(process)
        assert code == 0, said
        assert all(
            f"{name}, seed {seed}: test accuracy" in said for name in ("adam", "sgd") for seed in (0, 1)
        )
    assert times_passed(children, "epoch 1, step 1", "epoch 3, step 6", "record: renamed") == [4, 4, 4]
    assert names_in(place) == fakes.recorded_names("adam", "sgd", seeds=(0, 1))
    assert list((cache / "checkpoints").iterdir()) == []


@pytest.mark.long
def test_whoever_holds_the_lock_may_die_at_any_moment(children, place, cache, tmp_path):
    """Four share two runs. Twenty are killed, each after a wait drawn with seed 2, and replaced."""
    command, waits, epochs = recording(place, "adam", "sgd"), random.Random(2), 200
    children.run(*recording(tmp_path / "alone", "adam", "sgd"), epochs=epochs)
    children.forget()
    started, deaths = [children.start(*command, epochs=epochs) for _ in range(4)], 0
    while deaths < 20:
        time.sleep(waits.uniform(0.1, 0.8))
        victim = started.pop(waits.randrange(4))
        children.kill(victim)
        code, said = children.wait(victim)
        assert code == -9, f"all was recorded before 20 were killed: {said}"
        deaths += 1
        started.append(children.start(*command, epochs=epochs))
    for process in started:
        code, said = children.wait(process)
        assert code == 0, said
    assert deaths == 20
    # An epoch is trained again only where a death cut it short, or cut its checkpoint short.
    begun = Counter(moment for moment in children.moments() if moment.endswith("step 1"))
    assert begun.total() <= 4 * epochs + deaths
    assert times_passed(children, "record: renamed") == [4]
    for name in ("adam", "sgd"):
        for one, other in zip(
            runs.load_runs(name, place), runs.load_runs(name, tmp_path / "alone"), strict=True
        ):
            assert one.result == other.result
            assert one.column("train_loss") == other.column("train_loss")
    assert names_in(place) == fakes.recorded_names("adam", "sgd", seeds=(0, 1))
    assert list((cache / "checkpoints").iterdir()) == []


def test_a_lock_whose_file_is_gone_lets_nobody_train_twice(children, place, tmp_path):
    """One opens the lock file; before it locks, another records all and removes the file."""
    command = recording(place, "adam")
    late = children.start(*command, pause=tmp_path / "pause", lock="plain")
    wait_until((tmp_path / "pause").exists)
    children.run(*command)
    assert names_in(place) == fakes.recorded_names("adam", seeds=(0, 1))
    (tmp_path / "pause").unlink()
    code, said = children.wait(late)
    assert code == 0, said
    assert children.moments(late).count("locked") == 1  # it got the lock of a file that is gone
    assert times_passed(children, "epoch 1, step 1", "record: renamed") == [2, 2]
    assert names_in(place) == fakes.recorded_names("adam", seeds=(0, 1))


# Preparing

OTHERS = pytest.mark.filterwarnings("ignore:The training images found")


@OTHERS
@pytest.mark.parametrize("count", [2, 4])
def test_several_prepare_the_same_data_at_once(count, children, folder, cache):
    fakes.write_classes(folder, fakes.class_files(fakes.cifar(400, 100)))
    started = [children.start("data", "cifar10") for _ in range(count)]
    for process in started:
        code, said = children.wait(process)
        assert code == 0 and "400 training and 100 test images" in said, said
    assert_prepared(cache)


@OTHERS
@pytest.mark.parametrize("moment", ["prepared: 50 % written", "prepared: synced", "prepared: renamed"])
def test_killed_while_preparing(moment, children, folder, cache):
    fakes.write_classes(folder, fakes.class_files(fakes.cifar(400, 100)))
    assert children.wait(children.start("data", "cifar10", die=moment))[0] == -9
    assert "400 training and 100 test images" in children.run("data", "cifar10")
    if moment == "prepared: renamed":  # the one that was killed had done all, but for its empty folder
        shutil.rmtree(*cache.glob(".*.part"))
    assert_prepared(cache)


def assert_prepared(cache):
    """The cache holds one file, and what is in it is what the originals hold."""
    (prepared,) = cache.iterdir()
    kept = data.load("cifar10")
    prepared.unlink()
    again = data.load("cifar10")
    for part in ("train", "test"):
        for name in ("pixels", "labels"):
            assert torch.equal(getattr(getattr(kept, part), name), getattr(getattr(again, part), name))
    assert kept.fingerprint == again.fingerprint
