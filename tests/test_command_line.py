"""The commands, on quick recipes."""

import ast
import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fakes
import pytest

import cifar_lib
from cifar_lib import CourseError, data, recipes, runs, training
from cifar_lib.__main__ import main

QUICK = ["--set", "epochs=2", "--set", "batch_size=32"]


def test_train_prints_each_epoch(capsys):
    assert main(["train", "study-quick", "--device", "cpu", *QUICK]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "toy: 400 training and 100 test images, 3×32×32, from generator"
    assert [line.split()[:2] for line in lines[1:3]] == [["epoch", "1"], ["epoch", "2"]]
    assert " s on CPU (" in lines[3]
    assert len(lines) == 4


def test_without_a_holdout_nothing_is_said_of_validation(recorded_folder, tiny, monkeypatch, capsys):
    whole = tiny.replace(name="whole", holdout=False)
    monkeypatch.setitem(recipes.RECIPES, "whole", whole)
    assert main(["train", "whole", "--device", "cpu"]) == 0
    runs.train_and_record(whole, 0, device="cpu", keep_weights=True, progress=False)
    assert main(["evaluate", "whole"]) == 0
    printed = capsys.readouterr().out
    assert "epoch   4" in printed and "test: " in printed and "validation" not in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "fast72-quick", "--set", "rate=1e308"], "rate is a number of at least 0"),
        (["train", "mlp-quick", "--set", "shift=300000000"], "more than the images' 32"),
        (["record", "mlp-quick", "--seeds", "0-99999999999999999999"], "Seeds are written 0-4"),
        (["record", "mlp-quick", "--folder", "a\0b"], "cannot be the name of a file"),
        (["record", "mlp-quick", "--folder", "x" * 300], "cannot be written"),
    ],
)
def test_absurd_words_end_in_one_sentence(words, said, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    assert main(words) == 2
    printed = capsys.readouterr()
    assert printed.err.startswith("cifar_lib: ") and printed.err.count("\n") == 1
    assert said in printed.out + printed.err


@pytest.mark.parametrize(
    ("encoding", "words"), [("ascii", "data toy"), ("cp437", "data toy"), ("cp932", "--help")]
)
def test_output_in_an_encoding_without_some_character_is_written(encoding, words):
    """Windows writes files in its code page, which has no × or no ·."""
    done = subprocess.run(
        [sys.executable, "-m", "cifar_lib", *words.split()],
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=True,
    )
    assert b"?" in done.stdout and not done.stderr


def test_recording_says_where_new_records_go(recorded_folder, tmp_path, monkeypatch, capsys):
    assert main(["record", "mlp-quick"]) == 0
    assert capsys.readouterr().out.startswith(f"New records go to {recorded_folder}.")
    monkeypatch.setattr(runs.record, "IS_CHECKOUT", False)
    assert main(["record", "mlp-quick", "--seeds", "1"]) == 0
    assert capsys.readouterr().out.startswith(f"New records go to {runs.new_records_folder()}.")
    assert main(["record", "mlp-quick", "--folder", str(tmp_path / "mine")]) == 0
    assert capsys.readouterr().out.startswith(f"New records go to {tmp_path / 'mine'}.")


def test_a_user_without_a_home_is_told_what_to_set(monkeypatch, capsys):
    for name in ("CIFAR_CACHE", "CIFAR_DATA", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name)

    def home():
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr("pathlib.Path.home", home)
    assert main(["data", "cifar10"]) == 2
    assert capsys.readouterr().err == (
        "cifar_lib: There is no home folder here: set CIFAR_CACHE and CIFAR_DATA to folders that you may "
        "write to.\n"
    )


@pytest.mark.parametrize("version", [(3, 8), (3, 10)])
def test_an_older_python_is_named_in_one_sentence(version, monkeypatch):
    path = Path(cifar_lib.__file__)
    ast.parse(path.read_text(encoding="utf-8"), feature_version=version)
    monkeypatch.setattr(sys, "version_info", (*version, 0, "final", 0))
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(path))
    assert str(ended.value) == (
        f"The course needs Python 3.11 or later, and this is Python {version[0]}.{version[1]}: install a "
        "later one, or choose another kernel."
    )


@pytest.mark.parametrize("variables", [{"WORLD_SIZE": "4"}, {"WORLD_SIZE": ""}, {"WORLD_SIZE": "x"}])
def test_a_world_that_torchrun_did_not_make_is_named(variables, monkeypatch, capsys):
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    assert main(["train", "mlp-quick"]) == 2
    assert "start with torchrun, or unset WORLD_SIZE" in capsys.readouterr().err


@pytest.mark.parametrize("variable", ["CIFAR_DATA", "CIFAR_CACHE"])
@pytest.mark.parametrize("value", ["x" * 300, "~nobody-of-that-name/images"])
def test_a_folder_that_cannot_be_is_named(variable, value, tmp_path, monkeypatch, capsys):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("CIFAR_DATA", str(tmp_path))
    monkeypatch.setenv(variable, value)
    assert main(["data", "cifar10"]) == 2
    error = capsys.readouterr().err
    assert value in error and error.count("\n") == 1


def test_train_takes_seed_and_changed_fields(capsys, monkeypatch):
    asked = []

    def train(recipe, dataset, seed, **options):
        asked.append((recipe, seed))
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", train)
    changes = ["rate=0.5", "flip=true", "optimizer=sgd", "shift=3", "data=toy/shuffled"]
    main(["train", "paper-quick", "--seed", "7", *(word for change in changes for word in ("--set", change))])
    recipe, seed = asked[0]
    assert seed == 7
    assert (recipe.rate, recipe.flip, recipe.optimizer, recipe.shift) == (0.5, True, "sgd", 3)
    assert recipe.data == "toy/shuffled"


@pytest.mark.parametrize(
    ("text", "seeds"), [("0", [0]), ("3", [3]), ("1-2", [1, 2]), ("2-2", [2]), ("0,2", [0, 2])]
)
def test_record_writes_one_file_a_seed(text, seeds, recorded_folder, tiny, monkeypatch, capsys):
    monkeypatch.setattr("cifar_lib.recipes.get", lambda name: tiny.replace(epochs=1))
    assert main(["record", "tiny", "--seeds", text]) == 0
    assert {path.name for path in recorded_folder.iterdir()} == fakes.recorded_names("tiny", seeds=seeds)
    out = capsys.readouterr().out
    assert all(f"tiny, seed {seed}: test accuracy" in out for seed in seeds)


def test_a_run_that_fails_does_not_stop_the_others(recorded_folder, monkeypatch, capsys):
    train = training.train

    def fails_for_one(recipe, dataset, seed, **options):
        if (recipe.name, seed) == ("mlp-quick", 1):
            raise CourseError("The loss became nan.")
        return train(recipe, dataset, seed, **options)

    monkeypatch.setattr(runs.queue, "train", fails_for_one)
    assert main(["record", "mlp-quick", "small-quick", "--seeds", "0-1"]) == 2
    said = capsys.readouterr()
    assert said.err.splitlines()[-1] == (
        "cifar_lib: These runs were not recorded, for the reasons above: mlp-quick seed 1."
    )
    lines = said.out.splitlines()
    assert lines[lines.index("mlp-quick, seed 1") + 1] == "  The loss became nan."
    written = {path.stem for path in recorded_folder.glob("*.json")}
    assert written == {"mlp-quick-seed0", "small-quick-seed0", "small-quick-seed1"}


def test_what_another_process_is_at_is_asked_for_again_at_the_end(recorded_folder, monkeypatch, capsys, tiny):
    asked = []

    def record(recipe, seed, *, wait, **options):
        asked.append((seed, wait))
        return runs.Claim.BUSY if (seed, wait) == (1, False) else runs.Claim.MINE

    monkeypatch.setattr("cifar_lib.recipes.get", lambda name: tiny)
    monkeypatch.setattr(runs.queue, "train_and_record", record)
    monkeypatch.setattr(runs.queue, "load_record", lambda path: "done")
    assert main(["record", "tiny", "--seeds", "0-2"]) == 0
    assert asked == [(0, False), (1, False), (2, False), (1, True)]
    assert capsys.readouterr().out.splitlines() == [
        *("tiny, seed 0", "done"),
        *("tiny, seed 1", "  another process is at it"),
        *("tiny, seed 2", "done"),
        *("tiny, seed 1", "done"),
    ]


def test_evaluate_reads_what_record_wrote(recorded_folder, capsys):
    assert main(["record", "mlp-mnist-quick", "--keep-weights"]) == 0
    kept = runs.load_record(recorded_folder / "mlp-mnist-quick-seed0.json")
    capsys.readouterr()
    assert main(["evaluate", "mlp-mnist-quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].startswith("mlp-mnist-quick, seed 0. digits: 1,500 training and 297 test images")
    assert lines[1].startswith(f"validation: {kept.result['val_accuracy']:.1%} of 150 images (95 % interval ")
    assert lines[2].startswith(
        f"      test: {kept.result['test_accuracy']:.1%} of 297 images (95 % interval "
    )
    assert main(["evaluate", "mlp-mnist-quick", "--seed", "1"]) == 2
    assert "Seed 1 of 'mlp-mnist-quick' is not recorded" in capsys.readouterr().err


def test_record_goes_on_where_it_was_stopped(recorded_folder, tiny, monkeypatch, capsys):
    monkeypatch.setattr("cifar_lib.recipes.get", lambda name: tiny)
    epochs, train_epoch = [], training.train_epoch

    def stopped_once(*arguments, **options):
        epochs.append(arguments[5])
        if epochs == [1, 2, 3]:
            raise KeyboardInterrupt
        return train_epoch(*arguments, **options)

    monkeypatch.setattr(training.loop, "train_epoch", stopped_once)
    assert main(["record", "tiny"]) == 130
    assert "goes on where it stopped" in capsys.readouterr().err
    assert main(["record", "tiny"]) == 0
    assert epochs == [1, 2, 3, 3, 4]
    assert len(json.loads((recorded_folder / "tiny-seed0.json").read_text())["history"]) == 4


def test_data_says_what_was_found_and_where(folder, cache, monkeypatch, capsys):
    parts = fakes.cifar()
    fingerprint = fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    assert main(["data", "cifar10"]) == 0
    out = capsys.readouterr().out
    assert "cifar10: 40 training and 10 test images, 3×32×32, from Hugging Face parquet files" in out
    assert fingerprint[:16] in out
    assert str(folder) in out
    assert str(cache) in out
    assert data.prepared_file("cifar10").exists()


@pytest.mark.parametrize("arguments", [[], ["train"], ["fly"], ["train", "paper", "--seed", "x"]])
def test_wrong_usage_is_explained_by_the_parser(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m cifar_lib" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (["--help"], 0, "usage: python -m cifar_lib"),
        (["fly"], 2, "invalid choice: 'fly'"),
        (["train", "nosuch"], 2, "cifar_lib: There is no recipe 'nosuch'"),
        (
            ["train", "paper", "--set", "epoch=1"],
            2,
            "A recipe has no 'epoch'; did you mean 'epochs'",
        ),
        (
            ["train", "paper", "--set", "epochs=many"],
            2,
            "cifar_lib: epochs is a whole number of at least 1, not 'many'.",
        ),
        (["evaluate", "papr"], 2, "did you mean 'paper'"),
        (["record", "paper", "papr"], 2, "did you mean 'paper'"),
        (["record", "paper", "--seeds", "x"], 2, "cifar_lib: Seeds are written 0-4 or 0,2,5, not 'x'."),
    ],
)
def test_words_are_answered_without_the_packages_that_are_slow_to_import(words, code, said):
    program = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(['torch', 'numpy', 'PIL', 'requests'])  # to import them now fails\n"
        "from cifar_lib.__main__ import main\n"
        "sys.exit(main())"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, *words], capture_output=True, text=True, check=False
    )
    assert done.returncode == code
    assert said in (done.stderr if code else done.stdout) and "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("words", "field", "value"),
    [
        (["options.width=16"], "options", {"width": 16}),
        (["options.width=16", "options.head=pool"], "options", {"width": 16, "head": "pool"}),
        (["options.batch_norm=False"], "options", {"width": 8, "batch_norm": False}),
        (['options={"width": 4}'], "options", {"width": 4}),
        (["sides=[[0,24]]"], "sides", [[0, 24]]),
        (["sides=[[0, 24], [0.5, 32]]"], "sides", [[0, 24], [0.5, 32]]),
        (["holdout=false"], "holdout", False),
        (["rate=1"], "rate", 1.0),
        (["name=7"], "name", "7"),
    ],
)
def test_set_reads_options_lists_and_truths(words, field, value, monkeypatch):
    asked = []

    def train(recipe, *_, **__):
        asked.append(recipe)
        raise KeyboardInterrupt

    monkeypatch.setattr(training, "train", train)
    main(["train", "small-quick", *(word for change in words for word in ("--set", change))])
    assert getattr(asked[0], field) == value


def test_evaluate_does_not_call_images_validation_that_may_have_been_trained_on(
    recorded_folder, monkeypatch, capsys
):
    """The copy has other pixels, so its held-out tenth is another one."""
    assert main(["record", "mlp-mnist-quick", "--keep-weights"]) == 0
    load = data.load

    def copied(name):
        found = load(name)
        pixels = found.train.pixels.clone()
        pixels[0, 0, 0, 0] ^= 1
        return replace(found, train=data.Images(pixels, found.train.labels), fingerprint="a copy's")

    monkeypatch.setattr(data, "load", copied)
    capsys.readouterr()
    assert main(["evaluate", "mlp-mnist-quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("validation: left out, because the network was trained on other images")
    assert lines[2].strip().startswith("test: ") and len(lines) == 3
