"""Whatever is wrong, the reader gets one clear sentence, and what was there is still there."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import fakes
import pytest
import systems
import torch
from refusals import refusal
from safetensors.torch import save_file

from cifar_lib import data, recipes, runs
from cifar_lib.__main__ import main

pytestmark = pytest.mark.filterwarnings("error")


# Checkpoint, record, weights


OLD_RECORD = (
    Path(__file__).parent.parent / "runs" / "records" / "schema-1.json"
)  # the first that was ever recorded
RECORD = json.loads(OLD_RECORD.read_text())


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"3",
        b"null",
        b"\xff\xfe",
        b"{}",
        json.dumps(RECORD)[:-20].encode(),
        json.dumps(RECORD | {"seed": "0"}).encode(),
        json.dumps(RECORD | {"history": None}).encode(),
        json.dumps(RECORD | {"recipe": {"nam": "paper"}}).encode(),
        json.dumps(RECORD | {"recipe": RECORD["recipe"] | {"of_the_future": 1}}).encode(),
        json.dumps({name: value for name, value in RECORD.items() if name != "result"}).encode(),
        *(
            json.dumps(RECORD | {part: {n: value for n, value in RECORD[part].items() if n != name}}).encode()
            for part in ("model", "data", "result", "environment")
            for name in RECORD[part]
            if name not in ("val_loss", "val_accuracy_views", "test_accuracy_views")
        ),
        json.dumps(RECORD | {"result": {"test_accuracy": 0.5, "test_top2": 0.6, "test_loss": 1}}).encode(),
        json.dumps(RECORD | {"result": RECORD["result"] | {"test_accuracy": 1.5}}).encode(),
        json.dumps(RECORD | {"model": RECORD["model"] | {"shape": [3, 32]}}).encode(),
        json.dumps(RECORD | {"history": []}).encode(),
        json.dumps(RECORD | {"history": RECORD["history"][1:]}).encode(),
        json.dumps(RECORD | {"history": RECORD["history"][::-1]}).encode(),
        json.dumps(RECORD | {"history": [{"epoch": n} for n in range(1, 9)]}).encode(),
    ],
)
def test_damaged_record(content, recorded_folder):
    path = runs.record_file("paper", 0)
    path.write_bytes(content)
    for call in (lambda: runs.load_record(path), lambda: runs.load_runs("paper"), lambda: runs.run("paper")):
        assert f"{path} is not a recorded run" in refusal(call)
    assert path.read_bytes() == content


@pytest.mark.parametrize("schema", [0, 3, 99, "1", None, [1]])
def test_record_of_an_unknown_schema(schema, tmp_path):
    path = tmp_path / "paper-seed0.json"
    path.write_text(json.dumps({"schema": schema, "what": "later versions write"}))
    text = refusal(runs.load_record, path)
    assert text.startswith(f"{path} has schema {schema!r}, but this version reads 1 to 2: ")


def test_a_record_that_is_missing_or_closed_to_its_reader_is_not_called_damaged(tmp_path, monkeypatch):
    path = tmp_path / "paper-seed0.json"
    assert refusal(runs.load_record, path) == f"{path} was not found: restore it, or record it again."
    path.write_text("{}")
    systems.close_to_readers(path, monkeypatch)
    assert refusal(runs.load_record, path) == f"{path} cannot be read: Permission denied."


def test_a_record_of_the_first_version_is_read(tmp_path):
    before = OLD_RECORD.read_bytes()
    run = runs.load_record(OLD_RECORD)
    written = dict(RECORD["recipe"])
    assert (written.pop("decay_factor"), written["crop"], "cut" in written) == (0.1, 0, False)
    written["shift"] = written.pop("crop")
    added = set(run.recipe.as_dict()) - set(written)
    assert added >= {"loss", "label_smoothing", "sides", "crop", "views", "holdout"}
    assert run.recipe == recipes.Recipe(**written)
    defaults = recipes.Recipe("any").as_dict()
    assert {name: getattr(run.recipe, name) for name in added} == {name: defaults[name] for name in added}
    assert str(run).startswith("mlp-mnist, seed 0: test accuracy 97.4% of 10,000. Replayed.")
    assert run.column("epoch") == list(range(1, 9))
    assert runs.as_record(run) == RECORD | {"schema": 2, "recipe": run.recipe.as_dict()}
    assert OLD_RECORD.read_bytes() == before


def test_a_copy_of_a_record_is_no_seed(recorded_folder, tiny):
    path = fakes.record(tiny.replace(epochs=1), device="cpu")
    for name in ("tiny-seed0 (1).json", "tiny-seed0-old.json", "tiny-seed.json"):
        path.with_name(name).write_text("")
    assert [run.seed for run in runs.load_runs("tiny")] == [0]


def test_a_copy_without_its_record_is_not_listed(recorded_folder, capsys):
    (recorded_folder / "tiny-seed0 (1).json").write_text("")
    assert runs.summaries(recorded_folder) == []
    assert main(["list", "runs", "--folder", str(recorded_folder)]) == 0
    assert capsys.readouterr().out == f"runs in {recorded_folder}: none\n"


def test_a_record_whose_recipe_cannot_be_names_its_file(recorded_folder, tiny):
    path = fakes.record(tiny.replace(epochs=1), device="cpu")
    content = json.loads(path.read_text())
    content["recipe"]["epochs"] = 0
    path.write_text(json.dumps(content))
    text = refusal(runs.load_record, path)
    assert str(path) in text and "epochs is a whole number of at least 1, not 0" in text


def test_no_record(recorded_folder):
    assert "No run of 'paper' is recorded" in refusal(runs.load_runs, "paper")


@pytest.mark.parametrize("content", [b"", b"no weights", "other"])
def test_damaged_weights(content, recorded_folder, tiny):
    run = runs.Run(tiny, {"shape": [3, 32, 32]}, {}, 0, [], {}, {}, 1.0, replayed=True)
    path = runs.weights_file("tiny", 0)
    if content == "other":
        save_file({"a": torch.zeros(1)}, path)
    else:
        path.write_bytes(content)
    assert f"weights in {path} are damaged" in refusal(run.network)
    assert f"weights in {path} are damaged" in refusal(run.network)


def test_weights_that_were_not_recorded(recorded_folder, tiny):
    run = runs.Run(tiny, {"shape": [3, 32, 32]}, {}, 0, [], {}, {}, 1.0, replayed=True)
    assert "No weights were recorded for 'tiny', seed 0" in refusal(run.network)


# Places that cannot be written


def failing(code):
    def fail(*arguments, **options):
        raise OSError(code, os.strerror(code))

    return fail


def test_no_space_for_a_record_keeps_the_checkpoint(recorded_folder, cache, tiny, monkeypatch):
    monkeypatch.setattr("pathlib.Path.write_text", failing(errno.ENOSPC))
    text = refusal(runs.train_and_record, tiny.replace(epochs=1), 0, progress=False)
    assert "No space is left" in text
    assert len(list((cache / "checkpoints").glob("tiny-seed0-*.safetensors"))) == 1
    # The empty lock file is no harm: the next recording takes it, and removes it.
    names = {path.name for path in recorded_folder.iterdir()}
    assert names == {"tiny-seed0.lock", "tiny-seed0.predictions.gz", "toy.labels.gz"}


@pytest.mark.parametrize("place", ["file", "file/deeper"])
def test_a_recording_into_a_file(place, tmp_path, tiny, monkeypatch, capsys):
    (tmp_path / "file").write_text("kept")
    folder = tmp_path / place
    text = refusal(runs.train_and_record, tiny, 0, folder=folder)
    assert text == f"{folder}/tiny-seed0.json cannot be written: a file stands where a folder is needed."
    monkeypatch.setattr(recipes, "get", lambda name: tiny)
    assert main(["record", "tiny", "--folder", str(folder)]) == 2
    said = capsys.readouterr()
    assert said.out.splitlines()[-2:] == ["tiny, seed 0", f"  {text}"]
    assert said.err == "cifar_lib: These runs were not recorded, for the reasons above: tiny seed 0.\n"
    assert (tmp_path / "file").read_text() == "kept"


@pytest.mark.skipif(getattr(os, "geteuid", lambda: 0)() == 0, reason="root may write everywhere")
def test_a_recording_into_a_read_only_folder(tmp_path, tiny):
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    text = refusal(runs.train_and_record, tiny, 0, folder=folder)
    assert text == f"{folder}/tiny-seed0.json cannot be written: choose a folder that you may write to."


@pytest.mark.parametrize("asked", ["is_dir", "exists"])
def test_folders_that_may_not_be_entered(asked, folder, monkeypatch):
    """As the system answers where another user's folder is closed."""

    def closed(path, *arguments):
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    monkeypatch.setattr(Path, asked, closed)
    assert "Permission denied" in refusal(data.load, "cifar10")
    if asked == "exists":
        assert "choose a folder that you may write to" in refusal(
            runs.train_and_record, recipes.get("mlp-quick"), 0, folder=folder
        )


# Names and numbers


@pytest.mark.parametrize("name", ["", "fast", "Quick"])
def test_wrong_profile(name, monkeypatch):
    monkeypatch.setenv("CIFAR_PROFILE", name)
    assert f"CIFAR_PROFILE is one of quick, recorded, full, not {name!r}" in refusal(runs.profile)


# The command line


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["train", "papr"], "did you mean 'paper'"),
        (["train", "paper", "--set", "epochs=2.5"], "epochs is a whole number of at least 1, not 2.5"),
        (["train", "paper", "--set", "epochs"], "epochs is a whole number of at least 1, not ''"),
        (["train", "paper", "--set", "rate=-1"], "rate is a number of at least 0"),
        (["train", "paper", "--set", "rate=nan"], "rate is a number of at least 0"),
        (["train", "paper", "--set", "flip=maybe"], "flip is True or False, not 'maybe'"),
        (["train", "paper", "--set", "options=x"], "options is the network's arguments by name, not 'x'"),
        (["train", "paper", "--set", "options=5", "--set", "options.width=3"], "by name, not 5"),
        (["train", "paper", "--set", f"sides={'[' * 100_000}"], "sides is written [[0, 24], [0.7, 32]], not"),
        (["train", "paper", "--set", "epoch=3"], "did you mean 'epochs'"),
        (["train", "paper-quick", "--set", "model=cnn"], "There is no network 'cnn'"),
        (["train", "paper-quick", "--device", "gpu"], "'gpu' is not a device"),
        (["train", "paper"], "cifar-10-python.tar.gz could not be downloaded"),
        (["train", "paper-quick", "--seed", "-1"], "Seeds are written 0-4 or 0,2,5, not '-1'"),
        (["train", "paper-quick", "--seed", str(2**32)], "A seed is a whole number"),
        (["evaluate", "papr"], "did you mean 'paper'"),
        (["evaluate", "paper"], "No run of 'paper' lies in"),
        (["evaluate", "/kept/paper+3f2a9c1b"], "No run of '/kept/paper+3f2a9c1b' lies in"),
        (["compare", "**+", "+"], "No run of '**+' lies in"),
        (["record", "paper-quick", "--seeds", "a"], "Seeds are written 0-4 or 0,2,5, not 'a'"),
        (["record", "paper-quick", "--seeds", "3-1"], "Seeds are written 0-4 or 0,2,5, not '3-1'"),
        (["record", "paper-quick", "--seeds", "1-2-3"], "Seeds are written"),
        (["record", "paper-quick", "--seeds", ""], "Seeds are written"),
        (["data", "cifar11"], "There is no data set 'cifar11'"),
        (["data"], "cifar-10-python.tar.gz could not be downloaded"),
    ],
)
def test_the_command_line_says_one_sentence(arguments, words, recorded_folder, capsys):
    assert main(arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("cifar_lib: ")
    assert error.count("\n") == 1
    assert words in error
    assert fakes.snapshot(recorded_folder) == {}


def test_the_command_line_without_a_traceback_in_a_process_of_its_own():
    command = [sys.executable, "-m", "cifar_lib", "train", "papr"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 2
    assert done.stdout == ""
    assert done.stderr == (
        "cifar_lib: There is no recipe 'papr'; did you mean 'paper': "
        "python -m cifar_lib list recipes shows all.\n"
    )


def test_stopping_by_hand_is_no_traceback(monkeypatch, capsys):
    def stopped(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "load", stopped)
    assert main(["data", "toy"]) == 130
    assert "stopped" in capsys.readouterr().err
