"""Whatever is wrong, the reader gets one clear sentence, and what was there is still there."""

import errno
import json
import os
import subprocess
import sys
from pathlib import Path

import fakes
import pytest
import torch
from refusals import refusal
from safetensors.torch import save_file

from cifar_lib import data, models, recipes, runs, training
from cifar_lib.__main__ import main
from cifar_lib.system import device, files

pytestmark = pytest.mark.filterwarnings("error")


# Checkpoint, record, weights


@pytest.fixture
def checkpoint(tmp_path, tiny, toy_images):
    path = tmp_path / "tiny.safetensors"
    training.train(tiny.replace(epochs=1), toy_images, checkpoint=path)
    return path


@pytest.mark.parametrize("share", [0, 0.01, 0.5, 0.99])
def test_damaged_checkpoint(share, checkpoint, tiny, toy_images):
    fakes.cut(checkpoint, share)
    before = checkpoint.read_bytes()
    text = refusal(training.train, tiny.replace(epochs=1), toy_images, checkpoint=checkpoint)
    assert f"{checkpoint} is damaged" in text
    assert checkpoint.read_bytes() == before


@pytest.mark.parametrize("change", ["seed", "recipe", "images"])
def test_checkpoint_of_another_run(change, checkpoint, tiny, toy_images):
    recipe = tiny.replace(epochs=1, rate=0.1) if change == "recipe" else tiny.replace(epochs=1)
    images = data.load("toy/shuffled") if change == "images" else toy_images
    before = checkpoint.read_bytes()
    text = refusal(training.train, recipe, images, seed=int(change == "seed"), checkpoint=checkpoint)
    assert f"{checkpoint} belongs to another run: delete it" in text
    assert checkpoint.read_bytes() == before


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
    assert str(run).startswith("mlp-mnist, seed 0: test accuracy 97.4% of 10,000. Replayed: 6 s on CPU")
    assert run.column("epoch") == list(range(1, 9))
    assert runs.as_record(run) == RECORD | {"schema": 2, "recipe": run.recipe.as_dict()}
    assert OLD_RECORD.read_bytes() == before


def test_a_copy_of_a_record_is_no_seed(recorded_folder, tiny):
    path = fakes.record(tiny.replace(epochs=1), device="cpu")
    for name in ("tiny-seed0 (1).json", "tiny-seed0-old.json", "tiny-seed.json"):
        path.with_name(name).write_text("")
    assert [run.seed for run in runs.load_runs("tiny")] == [0]


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


WRITING_FAILS = [
    (errno.ENOSPC, "No space is left on the disk to write {path}: free some"),
    (errno.EACCES, "{path} cannot be written: choose a folder that you may write to"),
    (errno.EROFS, "{path} cannot be written: choose a folder that you may write to"),
    (errno.EIO, "{path} cannot be written: Input/output error"),
]


@pytest.mark.parametrize(("code", "words"), WRITING_FAILS)
@pytest.mark.parametrize("moment", ["fsync", "replace"])
def test_writing_that_fails_leaves_what_was_there(code, words, moment, tmp_path, monkeypatch):
    path = tmp_path / "results" / "file"
    path.parent.mkdir()
    path.write_text("before")
    monkeypatch.setattr(files.os, moment, failing(code))

    def write():
        with files.atomic_write(path) as aside:
            aside.write_text("after")

    assert words.format(path=path) in refusal(write)
    assert fakes.snapshot(path.parent) == {path: b"before"}


def test_a_failure_while_writing_leaves_what_was_there(tmp_path):
    path = tmp_path / "results" / "file"
    path.parent.mkdir()
    path.write_text("before")
    with pytest.raises(ZeroDivisionError), files.atomic_write(path) as aside:
        aside.write_text("half")
        raise ZeroDivisionError
    assert fakes.snapshot(path.parent) == {path: b"before"}


def test_a_file_where_a_folder_is_needed(tmp_path, tiny, toy_images):
    (tmp_path / "file").write_text("kept")
    path = tmp_path / "file" / "deeper" / "tiny.safetensors"
    text = refusal(training.train, tiny.replace(epochs=1), toy_images, checkpoint=path)
    assert f"{path} cannot be written: a file stands where a folder is needed" in text
    assert (tmp_path / "file").read_text() == "kept"


FULL_DISK = """
import resource, signal, sys, torch
from pathlib import Path
from safetensors.torch import save_file
from cifar_lib import CourseError
from cifar_lib.system.files import atomic_write

signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))
try:
    with atomic_write(Path(sys.argv[1])) as aside:
        save_file({"weights": torch.zeros(100_000)}, aside)
except CourseError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no file size limit to set")
def test_safetensors_that_cannot_be_written_whole(tmp_path):
    path = tmp_path / "results" / "weights"
    path.parent.mkdir()
    path.write_text("before")
    done = subprocess.run([sys.executable, "-c", FULL_DISK, path], capture_output=True, text=True, check=True)
    assert done.stdout.startswith(f"{path} cannot be written: File too large")
    assert fakes.snapshot(path.parent) == {path: b"before"}


def test_no_space_for_a_checkpoint_keeps_the_last_one(checkpoint, tiny, toy_images, monkeypatch):
    recipe = tiny.replace(epochs=2)
    checkpoint.unlink()
    saved = []

    def save(tensors, path, notes):
        if saved:
            failing(errno.ENOSPC)()
        saved.append(True)
        return save_file(tensors, path, notes)

    monkeypatch.setattr(training.checkpoint, "save_file", save)
    assert "No space is left" in refusal(training.train, recipe, toy_images, checkpoint=checkpoint)
    monkeypatch.undo()
    assert len(training.train(recipe, toy_images, checkpoint=checkpoint).history) == 2


def test_no_space_for_a_record_keeps_the_checkpoint(recorded_folder, cache, tiny, monkeypatch):
    monkeypatch.setattr("pathlib.Path.write_text", failing(errno.ENOSPC))
    text = refusal(runs.train_and_record, tiny.replace(epochs=1), 0, progress=False)
    assert "No space is left" in text
    assert len(list((cache / "checkpoints").glob("tiny-seed0-*.safetensors"))) == 1
    # The empty lock file is no harm: the next recording takes it, and removes it.
    assert fakes.snapshot(recorded_folder) == {recorded_folder / "tiny-seed0.lock": b""}


@pytest.mark.parametrize("place", ["file", "file/deeper"])
def test_a_recording_into_a_file(place, tmp_path, tiny, monkeypatch, capsys):
    (tmp_path / "file").write_text("kept")
    folder = tmp_path / place
    text = refusal(runs.train_and_record, tiny, 0, folder=folder)
    assert text == f"{folder}/tiny-seed0.json cannot be written: a file stands where a folder is needed."
    monkeypatch.setattr(recipes, "get", lambda name: tiny)
    assert main(["record", "tiny", "--folder", str(folder)]) == 2
    said = capsys.readouterr()
    assert said.out.splitlines() == ["tiny, seed 0", f"  {text}"]
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


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("papr", "There is no recipe 'papr'; did you mean 'paper'"),
        ("study-shufled", "did you mean 'study-shuffled'"),
        ("mlp_mnist", "did you mean 'mlp-mnist'"),
        ("zzz", "There is no recipe 'zzz': see recipes.RECIPES"),
        ("paper-quick-quick", "There is no recipe 'paper-quick-quick'"),
    ],
)
def test_unknown_recipe(name, words):
    assert words in refusal(recipes.get, name)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"epoch": 3}, "A recipe has no 'epoch'; did you mean 'epochs'"),
        ({"xyz": 3}, "A recipe has no 'xyz'."),
        ({"rate": -0.1}, "rate is a number of at least 0, not -0.1"),
        ({"rate": float("nan")}, "rate is a number of at least 0, not nan"),
        ({"rate": float("inf")}, "rate is a number of at least 0, not inf"),
        ({"rate": "0.1"}, "rate is a number of at least 0, not '0.1'"),
        ({"rate": True}, "rate is a number of at least 0, not True"),
        ({"weight_decay": -1}, "weight_decay is a number"),
        ({"epochs": 2.5}, "epochs is a whole number of at least 1, not 2.5"),
        ({"epochs": 0}, "epochs is a whole number of at least 1, not 0"),
        ({"batch_size": True}, "batch_size is a whole number"),
        ({"decay_every": 0}, "decay_every is a whole number of at least 1"),
        ({"shift": -1}, "shift is a whole number of at least 0"),
        ({"optimizer": "adm"}, "optimizer is one of adam, adamw, sgd, muon, not 'adm'"),
        ({"views": 3}, "views is 1, 2 or 6, not 3"),
        ({"label_smoothing": 1.5}, "label_smoothing is a number from 0 to 1, not 1.5"),
        ({"label_smoothing": "much"}, "label_smoothing is a number from 0 to 1, not 'much'"),
        ({"sides": 24}, "sides is written [[0, 24], [0.7, 32]], not 24"),
        ({"sides": [24]}, "sides is written [[0, 24], [0.7, 32]], not [24]"),
        ({"sides": [[0.5, 24]]}, "sides is written"),
        ({"crop": 1}, "crop is True or False, not 1"),
        ({"sides": [[0, 24], [0, 32]]}, "sides is written"),
        ({"sides": [[0, 0]]}, "sides is written"),
        ({"sides": [[0, "24"]]}, "sides is written"),
        ({"loss": "mse"}, "loss is one of cross-entropy, squared-error, not 'mse'"),
        ({"schedule": None}, "schedule is one of constant, step, cosine, one-cycle, linear, not None"),
        ({"flip": "yes"}, "flip is True or False, not 'yes'"),
        ({"options": 3}, "options is the network's arguments by name, not 3"),
        ({"data": None}, "data is the name of a data set, not None"),
        ({"rate": 10**400}, "rate is a number of at least 0, not 1000"),
        ({"epochs": 10**400}, "epochs is a whole number of at least 1, not 1000"),
        ({"name": "../outside"}, "letters, digits and . + - _, not '../outside'"),
        ({"name": ""}, "letters, digits and . + - _, not ''"),
    ],
)
def test_recipe_that_cannot_be(changes, words):
    assert words in refusal(recipes.RECIPES["paper"].replace, **changes)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"model": "cnn"}, "There is no network 'cnn': choose one of mlp, skip-cnn"),
        ({"options": {"widht": 3}}, "'skip-cnn': got an unexpected keyword argument 'widht'"),
        ({"options": {"merge": "mean"}}, "merge is 'concat', 'add' or 'none', not 'mean'"),
        ({"options": {"head": "max"}}, "head is 'flatten' or 'pool', not 'max'"),
        ({"options": {"activation": "gelu"}}, "activation is 'relu', 'tanh' or 'sigmoid', not 'gelu'"),
        ({"model": "vgg", "options": {"width": 3}}, "'vgg': got an unexpected keyword argument 'width'"),
    ],
)
def test_network_that_cannot_be(changes, words):
    assert words in refusal(models.build, recipes.RECIPES["paper"].replace(**changes), (3, 32, 32))


def test_batch_larger_than_the_training_images(tiny, toy_images):
    text = refusal(training.train, tiny.replace(batch_size=361), toy_images)
    assert "A batch of 361 is more than the 360 images" in text


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("gpu", "'gpu' is not a device: use 'cpu', 'cuda' or 'cuda:1'"),
        ("cuda:x", "'cuda:x' is not a device"),
        ("", "'' is not a device"),
        ("mps", "The course runs on 'cpu' and 'cuda', not on 'mps'"),
        ("cuda", "CUDA was asked for, but PyTorch sees no GPU here: use --device cpu"),
    ],
)
def test_device_that_is_not_there(name, words, monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert words in refusal(device.select_device, name)


def test_gpu_beyond_the_last(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    assert "There is no cuda:1: this machine has 1 GPU(s)" in refusal(device.select_device, "cuda:1")
    assert device.select_device("cuda:0").index == 0


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
        (["train", "paper", "--set", "epoch=3"], "did you mean 'epochs'"),
        (["train", "paper-quick", "--set", "model=cnn"], "There is no network 'cnn'"),
        (["train", "paper-quick", "--device", "gpu"], "'gpu' is not a device"),
        (["train", "paper"], "cifar-10-python.tar.gz could not be downloaded"),
        (["train", "paper-quick", "--seed", "-1"], "A seed is a whole number"),
        (["train", "paper-quick", "--seed", str(2**32)], "A seed is a whole number"),
        (["evaluate", "papr"], "did you mean 'paper'"),
        (["evaluate", "paper"], "No run of 'paper' is recorded"),
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
    assert done.stderr == "cifar_lib: There is no recipe 'papr'; did you mean 'paper': see recipes.RECIPES.\n"


def test_stopping_by_hand_is_no_traceback(monkeypatch, capsys):
    def stopped(name):
        raise KeyboardInterrupt

    monkeypatch.setattr(data, "load", stopped)
    assert main(["data", "toy"]) == 130
    assert "stopped" in capsys.readouterr().err
