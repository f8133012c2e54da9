"""The commands, on quick recipes."""

import argparse
import ast
import errno
import json
import os
import runpy
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import fakes
import pytest
import torch
import trainings
from safetensors.torch import save_file

import cifar_lib
from cifar_lib import CourseError, data, evaluate, recipes, runs, training
from cifar_lib.__main__ import COMMANDS, main

QUICK = ["--set", "epochs=2", "--set", "batch_size=32"]


@pytest.fixture
def trained(monkeypatch, tiny):
    """The folder where `train` keeps its runs; `train tiny` trains a recipe in a blink."""
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny)
    return runs.trained_folder()


@pytest.fixture
def asked(monkeypatch):
    """What `train` was asked to train, as (recipe, seed); nothing is trained."""
    found = []

    def train(recipe, dataset, seed, **options):
        found.append((recipe, seed))
        raise KeyboardInterrupt

    monkeypatch.setattr(runs.queue, "train", train)
    return found


@pytest.fixture
def stopped_in_epoch_3(monkeypatch):
    """Ctrl-C in the third epoch, once; the list of the epochs that were begun."""
    epochs, train_epoch = [], training.train_epoch

    def stopped_once(*arguments, **options):
        epochs.append(arguments[5])
        if epochs == [1, 2, 3]:
            raise KeyboardInterrupt
        return train_epoch(*arguments, **options)

    monkeypatch.setattr(training.loop, "train_epoch", stopped_once)
    return epochs


def objects(capsys):
    """What was printed with --json; a line that is no JSON fails."""
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_train_shows_each_epoch_and_ends_with_both_accuracies_and_the_place(trained, capsys):
    assert main(["train", "tiny", "--device", "cpu"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0] == "toy: 400 training and 100 test images, 3×32×32, from generator"
    assert str(trained) in lines[1]
    assert [line.split()[:2] for line in lines[2:6]] == [["epoch", str(n)] for n in (1, 2, 3, 4)]
    kept = runs.load_record(trained / "tiny-seed0.json")
    assert lines[6].startswith(
        f"validation accuracy: {kept.result['val_accuracy']:.1%} of 40 images (95 % interval "
    )
    assert lines[7].startswith(
        f"      test accuracy: {kept.result['test_accuracy']:.1%} of 100 images (95 % "
    )
    assert " s on CPU (" in lines[8]
    assert str(trained / "tiny-seed0.json") in lines[9] and len(lines) == 10


def test_train_shows_an_epoch_before_the_next_one_begins(trained, monkeypatch, capsys):
    train_epoch, shown = training.train_epoch, []

    def looks(*arguments, **options):
        shown.append(capsys.readouterr().out.splitlines()[-1].split()[:2])
        return train_epoch(*arguments, **options)

    monkeypatch.setattr(training.loop, "train_epoch", looks)
    main(["train", "tiny"])
    assert shown[1:] == [["epoch", "1"], ["epoch", "2"], ["epoch", "3"]]


def test_a_kept_run_is_a_record_with_weights_that_give_its_accuracy(trained, toy_images):
    main(["train", "tiny", "--folder", str(trained / "mine")])
    run = runs.find_runs("tiny", trained / "mine")[0]
    outputs = evaluate.predict(run.network(), toy_images.test.pixels)
    assert evaluate.accuracy(outputs, toy_images.test.labels) == run.result["test_accuracy"]


def test_a_stopped_training_says_what_is_kept_and_ends_as_if_it_was_not_stopped(
    trained, stopped_in_epoch_3, monkeypatch, capsys
):
    monkeypatch.setenv("OMP_NUM_THREADS", "1")  # equal bits need an equal number of threads
    words = ["train", "tiny", "--seed", "7"]
    assert main(words) == 130
    said = capsys.readouterr().err
    assert "stopped after epoch 2 of 4" in said
    assert said.endswith("To go on from there: python -m cifar_lib train tiny --seed 7\n")
    assert not list(trained.glob("*.json"))
    assert main(words) == 0
    assert "going on after epoch 2 of 4" in capsys.readouterr().out
    assert stopped_in_epoch_3 == [1, 2, 3, 3, 4]
    main([*words, "--folder", str(trained / "whole")])
    resumed, whole = (runs.find_runs("tiny", folder)[7] for folder in (trained, trained / "whole"))
    assert trainings.without_time(resumed.history) == trainings.without_time(whole.history)
    assert resumed.result == whole.result
    names = [folder / "tiny-seed7.safetensors" for folder in (trained, trained / "whole")]
    assert names[0].read_bytes() == names[1].read_bytes()


def test_a_training_stopped_in_its_first_epoch_says_that_nothing_is_kept(asked, capsys):
    assert main(["train", "mlp-quick"]) == 130
    assert "nothing of this run is kept" in capsys.readouterr().err


def test_a_training_stopped_while_it_goes_on_says_what_is_kept(trained, asked, tiny, toy_images, capsys):
    checkpoint = runs.checkpoint_file(training.RunKey(tiny, toy_images.key, 0))
    checkpoint.parent.mkdir()
    checkpoint.touch()
    assert main(["train", "tiny"]) == 130
    said = capsys.readouterr().err
    assert f"stopped while it went on from its checkpoint, which is kept in {checkpoint}. To go on" in said


def test_what_is_trained_already_is_read(trained, asked, monkeypatch, capsys):
    with monkeypatch.context() as context:
        context.setattr(runs.queue, "train", training.train)
        main(["train", "tiny"])
    before = capsys.readouterr().out.splitlines()
    assert main(["train", "tiny"]) == 0
    after = capsys.readouterr().out.splitlines()
    assert asked == [] and after[2].startswith("trained before") and after[3:] == before[6:]


def test_a_run_of_other_images_is_not_taken_for_this_one(trained, toy_images, monkeypatch, capsys):
    main(["train", "tiny"])
    monkeypatch.setattr(data, "load", lambda name: toy_images.with_fingerprint("another"))
    assert main(["train", "tiny"]) == 2
    assert "was trained or evaluated on other images than those found here" in capsys.readouterr().err


def test_a_kept_run_is_not_scored_with_other_test_images(trained, toy_images, monkeypatch, capsys):
    main(["train", "tiny"])
    monkeypatch.setattr(data, "load", lambda name: replace(toy_images, test=toy_images.test[:50]))
    assert main(["train", "tiny"]) == 2
    assert "was trained or evaluated on other images than those found here" in capsys.readouterr().err


def test_a_changed_recipe_is_kept_under_a_name_of_its_own(trained, capsys):
    main(["train", "tiny", "--set", "epochs=2", "--set", "options.width=3"])
    main(["train", "tiny", "--set", "epochs=2", "--set", "options.width=3", "--seed", "1"])
    main(["train", "tiny", "--set", "epochs=3"])
    main(["train", "tiny", "--set", "epochs=4"])  # as it is
    names = {path.name.rpartition("-")[0] for path in trained.glob("*.json")}
    (own,) = (name for name in names if len(list(trained.glob(f"{name}-seed*.json"))) == 2)
    assert len(names) == 3 and "tiny" in names and all(name.startswith("tiny") for name in names)
    capsys.readouterr()
    assert main(["evaluate", own, "--seeds", "0-1"]) == 0
    assert f"{own}, seed 1. toy" in capsys.readouterr().out
    main(["evaluate", own, "--weights", str(trained / f"{own}-seed1.safetensors")])
    accuracy = runs.find_runs(own)[1].result["test_accuracy"]
    assert f"test accuracy: {accuracy:.1%} of 100 images" in capsys.readouterr().out
    (trained / f"{own}-seed1.safetensors").unlink()
    main(["list", "runs"])
    line = next(line for line in capsys.readouterr().out.splitlines() if own in line)
    assert "seeds 0-1: " in line and " of 100 test images, weights of 0  (options.width=3, epochs=2)" in line


def test_train_prints_json(trained, stopped_in_epoch_3, capsys):
    main(["train", "tiny", "--json"])
    assert [one["event"] for one in objects(capsys)] == ["start", "epoch", "epoch"]
    main(["train", "tiny", "--json"])
    found = objects(capsys)
    assert [one["event"] for one in found] == ["start", "resume", "epoch", "epoch", "run"]
    run = runs.find_runs("tiny")[0]
    assert [one["train_loss"] for one in found[2:4]] == run.column("train_loss")[2:]
    assert [(one["part"], one["accuracy"]) for one in found[-1]["scores"]] == [
        ("val", run.result["val_accuracy"]),
        ("test", run.result["test_accuracy"]),
    ]
    assert found[-1]["file"] == str(trained / "tiny-seed0.json")


def test_record_prints_json(recorded_folder, tiny, monkeypatch, capsys):
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny)
    other = tiny.replace(name="other", rate=1e30)  # whose loss is soon no number
    monkeypatch.setitem(recipes.RECIPES, "other", other)
    assert main(["record", "tiny", "other", "--json"]) == 2
    found = objects(capsys)
    assert [one["event"] for one in found] == ["start", *["epoch"] * 4, "recorded", "start", "failed"]
    kept = runs.load_record(recorded_folder / "tiny-seed0.json")
    assert found[0]["recipe"] == tiny.as_dict() and found[0]["folder"] == str(recorded_folder)
    assert [one["train_loss"] for one in found[1:5]] == kept.column("train_loss")
    assert (found[5]["result"], found[5]["trained_now"]) == (kept.result, True)
    assert found[5]["file"] == str(recorded_folder / "tiny-seed0.json")
    assert (found[7]["recipe"], found[7]["seed"]) == ("other", 0) and "loss" in found[7]["reason"]
    assert main(["record", "tiny", "--json"]) == 0
    found = objects(capsys)
    assert [one["event"] for one in found] == ["start", "recorded"] and not found[1]["trained_now"]


@pytest.mark.parametrize("command", ["train", "record"])
def test_a_training_is_on_the_device_that_is_named(command, trained, recorded_folder, capsys):
    assert main([command, "tiny", "--device", "abacus"]) == 2
    said = capsys.readouterr()
    assert "'abacus' is not a device" in said.out + said.err


def test_the_options_of_train_reach_the_training(trained, monkeypatch):
    found, listener = {}, training.Callback()

    def train(recipe, dataset, seed, **options):
        found.update(options)
        raise KeyboardInterrupt

    monkeypatch.setattr(runs.queue, "train", train)
    monkeypatch.setattr(training, "TensorBoard", lambda folder: folder == "there" and listener)
    main(["train", "tiny", "--compile", "--tensorboard", "there"])
    assert found["compiled"] and found["progress"][-1] is listener
    main(["train", "tiny"])
    assert not found["compiled"] and listener not in found["progress"]


def test_record_renews_what_has_no_predictions_only_when_asked(recorded_folder, tiny, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny.replace(epochs=1))
    path = fakes.record(tiny.replace(epochs=1), keep_weights=True).with_suffix(".predictions.gz")
    path.unlink()
    for words in ([], ["--renew"]):
        assert main(["record", "tiny", *words]) == 0
        assert path.exists() == bool(words)


def test_record_says_whether_it_trained(recorded_folder, tiny, monkeypatch, capsys):
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny.replace(epochs=1))
    for how in ("Trained on ", "Replayed."):
        main(["record", "tiny", "--device", "cpu"])
        (line,) = (line for line in capsys.readouterr().out.split("\n") if "test accuracy" in line)
        assert line.split(" of 100. ")[1].startswith(how)


def test_a_plan_is_recorded_with_json(recorded_folder, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(recipes, "RECIPES", {"tiny": tiny})
    monkeypatch.setattr(runs.plan, "RECIPES", {"tiny": tiny})
    fakes.record(tiny, 0, folder=recorded_folder)
    (tmp_path / "plan.csv").write_text("question,recipes,seeds,seconds\none,tiny,1,7200\n")
    assert main(["record", "--plan", str(tmp_path / "plan.csv"), "--json"]) == 0
    assert objects(capsys) == [{"event": "plan", "runs": 0, "seconds": 0}]


def test_publish_prints_the_card_as_json(recorded_folder, tiny, tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(runs.pretrained.ABOUT, "tiny", "A small one.")
    fakes.record(tiny, folder=recorded_folder, keep_weights=True)
    words = ["publish", "tiny", "--records", str(recorded_folder), "--folder", str(tmp_path / "out")]
    assert main([*words, "--json"]) == 0
    (card,) = objects(capsys)
    assert card == {"event": "card"} | json.loads((tmp_path / "out" / "tiny.json").read_text())


def test_several_seeds_end_with_their_mean(trained, capsys):
    main(["train", "tiny", "--seeds", "0-1", "--set", "epochs=1", "--json"])
    found = objects(capsys)
    scores = [one["scores"][1]["accuracy"] for one in found if one["event"] == "run"]
    mean = found[-1]
    assert (mean["event"], mean["part"], mean["seeds"]) == ("mean", "test", [0, 1])
    assert mean["accuracy"] == pytest.approx(sum(scores) / 2)
    labels = data.load("toy").test.labels
    right = torch.stack([run.predictions().right(labels) for run in runs.find_runs(mean["recipe"]).values()])
    expected = evaluate.accuracy_interval(right)
    assert mean["interval"] == pytest.approx([expected.low, expected.high])


def test_without_a_holdout_nothing_is_said_of_validation(recorded_folder, tiny, monkeypatch, capsys):
    whole = tiny.replace(name="whole", holdout=False)
    monkeypatch.setitem(recipes.RECIPES, "whole", whole)
    assert main(["train", "whole", "--device", "cpu"]) == 0
    runs.train_and_record(whole, 0, device="cpu", keep_weights=True, progress=False)
    assert main(["evaluate", "whole"]) == 0
    printed = capsys.readouterr().out
    assert "epoch   4" in printed and printed.count(" test accuracy: ") == 2 and "validation" not in printed


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["train", "fast72-quick", "--set", "rate=1e308"], "rate is a number of at least 0"),
        (["train", "mlp-quick", "--set", "shift=300000000"], "more than the images' 32"),
        (["record", "mlp-quick", "--seeds", "0-99999999999999999999"], "are too many seeds"),
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
    ("encoding", "words", "shown"),
    [
        ("ascii", "data toy", "3x32x32"),
        ("cp437", "data toy", "3x32x32"),
        ("cp1251", "data toy", "3x32x32"),
        ("cp932", "--help", "usage: "),
    ],
)
def test_output_in_an_encoding_without_some_character_is_written_with_plain_ones(encoding, words, shown):
    """Windows writes files in its code page, which has no × or no ·."""
    done = subprocess.run(
        [sys.executable, "-m", "cifar_lib", *words.split()],
        env=os.environ | {"PYTHONIOENCODING": encoding, "PYTHONUTF8": "0"},
        capture_output=True,
        check=True,
    )
    assert shown in done.stdout.decode(encoding) and not done.stderr


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


def test_train_takes_seed_and_changed_fields(asked):
    changes = ["rate=0.5", "flip=true", "optimizer=sgd", "shift=3", "data=toy/shuffled"]
    main(["train", "paper-quick", "--seed", "7", *(word for change in changes for word in ("--set", change))])
    recipe, seed = asked[0]
    assert seed == 7
    assert (recipe.rate, recipe.flip, recipe.optimizer, recipe.shift) == (0.5, True, "sgd", 3)
    assert recipe.data == "toy/shuffled"


def test_more_seeds_than_anybody_means_are_too_many(tiny, capsys):
    assert main(["record", "paper", "--seeds", "0-9999"]) == 2
    assert "0-9999 are too many seeds: name fewer than 10,000." in capsys.readouterr().err


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
    monkeypatch.setattr(runs.Run, "__str__", lambda run: "done")
    for seed in range(3):
        fakes.record(tiny, seed, folder=recorded_folder)
    assert main(["record", "tiny", "--seeds", "0-2"]) == 0
    assert asked == [(0, False), (1, False), (2, False), (1, True)]
    assert capsys.readouterr().out.splitlines()[1:] == [
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
    assert lines[1].startswith(
        f"validation accuracy: {kept.result['val_accuracy']:.1%} of 150 images (95 % interval "
    )
    assert lines[2].startswith(
        f"      test accuracy: {kept.result['test_accuracy']:.1%} of 297 images (95 % interval "
    )
    assert main(["evaluate", "mlp-mnist-quick", "--seed", "1"]) == 2
    assert "Seed 1 of 'mlp-mnist-quick' is not recorded" in capsys.readouterr().err


def test_record_goes_on_where_it_was_stopped(recorded_folder, tiny, monkeypatch, stopped_in_epoch_3, capsys):
    monkeypatch.setattr("cifar_lib.recipes.get", lambda name: tiny)
    assert main(["record", "tiny"]) == 130
    assert "goes on where it stopped" in capsys.readouterr().err
    assert main(["record", "tiny"]) == 0
    assert stopped_in_epoch_3 == [1, 2, 3, 3, 4]
    assert len(json.loads((recorded_folder / "tiny-seed0.json").read_text())["history"]) == 4


def test_data_says_what_was_found_and_where(folder, cache, monkeypatch, capsys):
    parts = fakes.cifar()
    fingerprint = fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    assert main(["data", "cifar10"]) == 0
    out = capsys.readouterr().out
    assert "cifar10: 40 training and 10 test images, 3×32×32, from Hugging Face parquet files" in out
    assert fingerprint[:16] in out
    prepared = data.prepared_file("cifar10")
    assert prepared.exists() and prepared.parent == cache
    assert out.splitlines()[-2:] == [f"  originals {folder / 'cifar10'}", f"  prepared file {prepared}"]


def test_data_names_the_prepared_file_of_a_variant(folder, monkeypatch, capsys):
    parts = fakes.cifar()
    fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    assert main(["data", "cifar10/grey"]) == 0
    assert capsys.readouterr().out.splitlines()[-1] == f"  prepared file {data.prepared_file('cifar10')}"


def test_data_prints_json(folder, cache, monkeypatch, capsys):
    parts = fakes.cifar()
    fingerprint = fakes.expect(monkeypatch, "cifar10", parts)
    fakes.write_parquet(folder, parts)
    assert main(["data", "cifar10", "toy", "--json"]) == 0
    found, generated = objects(capsys)
    assert (found["event"], found["name"], found["training"], found["test"]) == ("images", "cifar10", 40, 10)
    assert (found["shape"], found["fingerprint"]) == ([3, 32, 32], fingerprint)
    assert found["classes"] == list(data.SPECS["cifar10"].classes)
    assert found["originals"] == str(folder / "cifar10")
    assert found["prepared"] == str(data.prepared_file("cifar10"))
    assert (generated["name"], generated["originals"], generated["prepared"]) == ("toy", None, None)


def test_data_does_not_say_that_images_lie_where_they_do_not(folder, tmp_path, monkeypatch, capsys):
    parts = fakes.cifar()
    fakes.expect(monkeypatch, "cifar10", parts)
    paths = fakes.write_parquet(folder, parts)
    data.load("cifar10")
    (tmp_path / "empty").mkdir()
    monkeypatch.setenv("CIFAR_DATA", str(tmp_path / "empty"))
    assert main(["data", "cifar10"]) == 0
    place = folder / "cifar10"
    assert f"  originals {place}, because {tmp_path / 'empty'} holds none" in capsys.readouterr().out
    for path in paths:
        path.unlink()
    place.rmdir()
    assert main(["data", "cifar10"]) == 0
    assert f"  originals {place}, which are no longer there" in capsys.readouterr().out


@pytest.mark.parametrize(
    "arguments", [[], ["train"], ["fly"], ["export", "paper", "out.onnx", "--seed", "x"]]
)
def test_wrong_usage_is_explained_by_the_parser(arguments, capsys):
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert "usage: python -m cifar_lib" in capsys.readouterr().err


@pytest.mark.parametrize("command", COMMANDS)
def test_the_help_of_a_command_explains_each_of_its_words(command):
    made = argparse.ArgumentParser()
    COMMANDS[command][0].add_arguments(made)
    assert [action.dest for action in made._actions if not action.help] == []


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
        (
            ["train", "paper", "--set", "batch_norm=false"],
            2,
            "init, epochs, batch_size, optimizer,",
        ),
        (["--version"], 0, f"cifar_lib {cifar_lib.__version__}"),
        (["list", "recipes"], 0, "paper, paper-constant-rate"),
        (["train", "paper", "--seeds", "x"], 2, "cifar_lib: Seeds are written 0-4 or 0,2,5, not 'x'."),
        (["evaluate", "papr"], 2, "did you mean 'paper'"),
        (["compare", "paper", "papr"], 2, "did you mean 'paper'"),
        (["export", "papr", "out.onnx"], 2, "did you mean 'paper'"),
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
        (
            ["name=7"],
            "name",
            recipes.under_own_name(recipes.get("small-quick").replace(name="7")).name,
        ),
    ],
)
def test_set_reads_options_lists_and_truths(words, field, value, asked):
    main(["train", "small-quick", *(word for change in words for word in ("--set", change))])
    assert getattr(asked[0][0], field) == value


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
        return replace(found, train=data.Images(pixels, found.train.labels))

    monkeypatch.setattr(data, "load", copied)
    capsys.readouterr()
    assert main(["evaluate", "mlp-mnist-quick"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("validation: left out, because the network was trained on other images")
    assert lines[2].strip().startswith("test accuracy: ") and len(lines) == 3


def test_evaluate_reads_the_folder_that_it_is_told(tiny, tmp_path, trained, capsys):
    for seed in (0, 1):
        runs.train_and_record(tiny, seed, folder=tmp_path / "f", keep_weights=True, progress=False)
    kept = runs.find_runs("tiny", tmp_path / "f")
    assert main(["evaluate", "tiny", "--folder", str(tmp_path / "f"), "--seeds", "0-1", "--json"]) == 0
    found = [one for one in objects(capsys) if one["event"] == "score" and one["part"] == "test"]
    assert [one["accuracy"] for one in found] == [kept[seed].result["test_accuracy"] for seed in (0, 1)]
    assert main(["evaluate", "tiny"]) == 2
    assert "No run of 'tiny' lies in" in capsys.readouterr().err


@pytest.fixture
def own(tiny, toy_images, tmp_path):
    """A folder with two runs of a recipe of one's own on images of one's own, made in Python."""
    recipe = tiny.replace(name="fruit", data="fruit", epochs=1)
    for seed in (0, 1):
        images = replace(toy_images, name="fruit")
        runs.train_and_keep(recipe, images, seed, folder=tmp_path / "own", progress=False)
    return str(tmp_path / "own")


def test_runs_of_a_recipe_of_ones_own_are_compared_and_exported(own, tmp_path, capsys):
    pytest.importorskip("onnxscript")
    assert main(["compare", "fruit", "fruit", "--folder", own]) == 0
    assert main(["export", "fruit", str(tmp_path / "fruit.onnx"), "--folder", own]) == 0
    assert main(["evaluate", "fruit", "--folder", own]) == 2
    assert capsys.readouterr().err.startswith("cifar_lib: There is no data set 'fruit'")
    assert main(["compare", "fruti", "fruit", "--folder", own]) == 2
    assert capsys.readouterr().err.startswith("cifar_lib: There is no recipe 'fruti'")


@pytest.mark.parametrize(("name", "images"), [("tiny", "toy"), ("small", None)])
def test_export_takes_images_that_are_at_hand_and_downloads_none(name, images, tiny, trained, monkeypatch):
    """The course's `small` was trained on CIFAR-10, which is not here: random images serve."""
    runs.train_and_record(tiny.replace(epochs=1), 0, folder=trained, keep_weights=True, progress=False)
    given, exported = [], runs.Exported(Path("out.onnx"), 20)
    monkeypatch.setattr(runs, "export_onnx", lambda run, images, file: given.append(images) or exported)
    monkeypatch.setattr(data, "load", lambda name: name)
    assert main(["export", name, "out.onnx"]) == 0
    assert given == [images]


def test_weights_that_were_not_kept_are_named(tiny, trained, capsys):
    runs.train_and_record(tiny.replace(epochs=1), 0, folder=trained, progress=False)
    for words in (["evaluate", "tiny"], ["export", "tiny", "out.onnx"]):
        assert main(words) == 2
        said = capsys.readouterr().err
        assert f"were not kept: move {trained / 'tiny-seed0.json'} away and record it with" in said


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["list", "runs", "--folder", "nowhere"], "There is no folder nowhere: check its name."),
        (["predict", ""], "The name of the photograph is empty: name a file."),
    ],
)
def test_what_cannot_be_meant_is_one_sentence(command, sentence, capsys):
    assert main(command) == 2
    assert capsys.readouterr().err == f"cifar_lib: {sentence}\n"


def test_evaluate_reads_a_file_of_weights_and_claims_no_validation(tiny, tmp_path, trained, capsys):
    runs.train_and_record(tiny, 0, folder=tmp_path / "f", keep_weights=True, progress=False)
    kept = runs.find_runs("tiny", tmp_path / "f")[0]
    file = tmp_path / "f" / "tiny-seed0.safetensors"
    assert main(["evaluate", "tiny", "--weights", str(file)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[1].startswith("validation: left out")
    assert lines[2].startswith(f"      test accuracy: {kept.result['test_accuracy']:.1%} of 100")


@pytest.mark.parametrize("content", [None, b"", b"nothing", "of another network"])
def test_a_file_without_the_networks_weights_is_named(content, tiny, tmp_path, trained, capsys):
    file = tmp_path / "weights.safetensors"
    if content == "of another network":
        save_file({"weight": torch.zeros(2)}, file)
    elif content is not None:
        file.write_bytes(content)
    assert main(["evaluate", "tiny", "--weights", str(file)]) == 2
    said = capsys.readouterr().err
    wrong = (
        f"{file} does not exist" if content is None else f"The weights in {file} are damaged, or not those"
    )
    assert said.startswith(f"cifar_lib: {wrong}") and said.count("\n") == 1


@pytest.mark.parametrize("content", [None, b"", b"nothing", "cut short"])
def test_a_file_of_weights_that_cannot_be_opened_is_named_before_the_images_are_loaded(
    content, tiny, tmp_path, trained, monkeypatch, capsys
):
    file = tmp_path / "weights.safetensors"
    if content == "cut short":
        save_file({"weight": torch.zeros(200)}, file)
        fakes.cut(file)
    elif content is not None:
        file.write_bytes(content)
    monkeypatch.setattr(data, "load", lambda name: pytest.fail("the images were loaded"))
    assert main(["evaluate", "tiny", "--weights", str(file)]) == 2
    assert str(file) in capsys.readouterr().err


def test_list_shows_recipes_images_and_runs_and_prepares_nothing(trained, cache, recorded_folder, capsys):
    main(["train", "tiny", "--set", "epochs=1"])
    (recorded_folder / "bad-seed0.json").write_text("{")
    capsys.readouterr()
    assert main(["list", "--json"]) == 0
    found = objects(capsys)
    assert {one["name"] for one in found if one["event"] == "recipe"} == set(recipes.RECIPES)
    places = {one["name"]: one["place"] for one in found if one["event"] == "data"}
    assert places["toy"].startswith("generated") and places["cifar10"].startswith("not in ")
    listed = {one["name"]: one for one in found if one["event"] == "runs"}
    (own,) = (one for name, one in listed.items() if name.startswith("tiny+"))
    assert (own["seeds"], own["changes"], own["weights"]) == ([0], ["epochs=1"], [0])
    assert "is not a recorded run" in listed["bad"]["fault"]
    assert not list(cache.glob("prepared-*"))


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("cifar_lib compa", ["compare"]),
        ("cifar_lib train fast94", ["fast94", "fast94-all"]),
        ("cifar_lib compare paper fast94", ["fast94", "fast94-all"]),
        ("cifar_lib record paper fast94", ["fast94", "fast94-all"]),
        ("cifar_lib train paper --dev", ["--device"]),
    ],
)
def test_a_shell_is_offered_what_could_follow(line, offered, tmp_path):
    pytest.importorskip("argcomplete", reason="the package argcomplete completes words in a shell")
    asked = {  # by the function that register-python-argcomplete defines in a shell
        "_ARGCOMPLETE": "1",
        "_ARGCOMPLETE_IFS": "\n",
        "_ARGCOMPLETE_STDOUT_FILENAME": str(tmp_path / "offered"),
        "COMP_LINE": line,
        "COMP_POINT": str(len(line)),
    }
    (tmp_path / "offered").touch()
    subprocess.run([sys.executable, "-m", "cifar_lib"], env=os.environ | asked, check=True)
    assert [word.rstrip() for word in (tmp_path / "offered").read_text().splitlines()] == offered


def test_an_error_of_the_system_is_a_sentence_and_code_2(monkeypatch, capsys):
    def full(name):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "here")

    monkeypatch.setattr(data, "load", full)
    assert main(["data", "toy"]) == 2
    said = "cifar_lib: No space is left on the disk to write here: free some, then run again.\n"
    assert capsys.readouterr().err == said


def test_an_output_that_is_closed_ends_the_command_quietly():
    command = [sys.executable, "-m", "cifar_lib", "list", "recipes"]
    child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    child.stdout.close()
    assert child.stderr.read() == b"" and child.wait() == 141
