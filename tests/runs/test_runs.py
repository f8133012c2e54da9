"""Records are whole, found again, and replayed only for the very same run."""

import json
import math
from dataclasses import replace
from pathlib import Path

import fakes
import numpy as np
import pytest
import systems
import torch
from filelock import FileLock
from refusals import refusal
from scipy import stats

from cifar_lib import CourseError, data, evaluate, models, recipes, runs, training

ONCE = {}
KEPT = fakes.recorded_names("tiny")


@pytest.fixture
def recorded(recorded_folder, tiny):
    """The path of a recorded run of `tiny`, seed 0, with its weights; trained once for all tests."""
    if not ONCE:
        runs.train_and_record(tiny, 0, keep_weights=True, progress=False)
        ONCE.update({path.name: path.read_bytes() for path in recorded_folder.iterdir()})
    for name, content in ONCE.items():
        (recorded_folder / name).write_bytes(content)
    return runs.record_file("tiny", 0)


@pytest.fixture
def no_training(monkeypatch):
    for module in (runs.queue, runs.replay):
        monkeypatch.setattr(module, "train", lambda *_, **__: pytest.fail("it trained"))


def test_a_record_has_every_documented_key(recorded, tiny, toy_images, tmp_path):
    content = json.loads(recorded.read_text())
    assert list(content) == "schema recipe model data seed history result environment seconds".split()
    assert content["schema"] == runs.record.SCHEMA
    assert content["recipe"] == tiny.as_dict()
    assert content["seed"] == 0
    assert content["data"] == {
        "name": "toy",
        "fingerprint": toy_images.fingerprint,
        "n_train": 360,
        "n_val": 40,
        "n_test": 100,
        "test_fingerprint": data.fingerprint(toy_images.test),
        "classes": list(toy_images.classes),
    }
    assert set(content["model"]) == {"name", "parameters", "flops", "shape", "classes"}
    assert content["model"]["shape"] == [3, 32, 32]
    assert set(content["environment"]) == {"device", "torch", "python", "code"}
    assert content["environment"]["code"] == training.CODE_VERSION
    assert [entry["epoch"] for entry in content["history"]] == [1, 2, 3, 4]
    assert content["result"]["val_accuracy"] == content["history"][-1]["val_accuracy"]
    shares = ["val_accuracy", "val_top2", "test_accuracy", "test_top2"]
    assert list(content["result"]) == [*shares, "test_loss"]
    assert all(0 <= content["result"][name] <= 1 for name in shares)
    assert content["result"]["test_top2"] >= content["result"]["test_accuracy"]
    assert str(tmp_path) not in recorded.read_text()


def test_a_record_is_read_back_as_it_was_written(recorded, tiny):
    kept = runs.load_record(recorded)
    assert kept.replayed
    assert kept.recipe == tiny
    assert runs.as_record(kept) == json.loads(recorded.read_text())
    assert kept.column("epoch") == [1, 2, 3, 4]


def test_a_record_of_more_epochs_than_memory_can_count_is_refused(recorded):
    content = json.loads(recorded.read_text())
    content["recipe"]["epochs"] = 10**9
    recorded.write_text(json.dumps(content))
    assert "its epochs are not complete" in refusal(runs.load_record, recorded)


def test_the_checkpoint_is_gone_when_the_record_is_there(recorded_folder, cache, tiny):
    runs.train_and_record(tiny.replace(epochs=1), 0, progress=False)
    assert list((cache / "checkpoints").iterdir()) == []


def test_a_recording_trains_on_the_device_that_is_named(recorded_folder, tiny):
    with pytest.raises(CourseError, match="abacus"):
        runs.train_and_record(tiny, 0, device="abacus", progress=False)


def test_what_is_recorded_is_left_alone(recorded, tiny, no_training):
    before = fakes.snapshot(recorded.parent)
    assert runs.train_and_record(tiny, 0, keep_weights=True, progress=False) is runs.Claim.DONE
    assert fakes.snapshot(recorded.parent) == before


def test_another_recipe_of_the_same_name_does_not_replace_a_record(recorded, tiny, no_training):
    before = fakes.snapshot(recorded.parent)
    with pytest.raises(CourseError, match="holds another recipe of that name: move it away first"):
        runs.train_and_record(tiny.replace(rate=0.1), 0, progress=False)
    assert fakes.snapshot(recorded.parent) == before


def test_a_recording_that_was_killed_goes_on(recorded_folder, tiny, monkeypatch):
    expected = runs.load_record(fakes.record(tiny))
    for path in recorded_folder.iterdir():
        path.unlink()
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs.queue, "as_run", interrupted)
        runs.train_and_record(tiny, 0, progress=False)
    # The empty lock file is no harm: nobody holds it. It goes when the record is written.
    assert [path.name for path in recorded_folder.iterdir()] == ["tiny-seed0.lock"]
    with monkeypatch.context() as patch:
        patch.setattr("cifar_lib.training.loop.train_epoch", lambda *_: pytest.fail("it trained"))
        again = runs.load_record(fakes.record(tiny, wait=False))
    assert again.result == expected.result
    assert {path.name for path in recorded_folder.iterdir()} == KEPT


@pytest.mark.parametrize(("holdout", "what"), [(True, "validation loss"), (False, "test loss")])
def test_a_training_that_diverges_in_its_last_step_is_not_recorded(holdout, what, recorded_folder, tiny):
    steep = tiny.replace(model="mlp", options={}, optimizer="sgd", rate=1e20, epochs=1, batch_size=350)
    steep = steep.replace(schedule="constant", holdout=holdout)
    for _ in range(2):  # what the first attempt leaves must not hide the reason from the second
        with pytest.raises(CourseError, match=f"The {what} of 'tiny' became (nan|inf) .*: lower the rate"):
            runs.train_and_record(steep, 0, progress=False)
    assert not list(recorded_folder.glob("*.json"))


def test_a_network_with_shared_weights_is_recorded_and_goes_on(recorded_folder, tiny, monkeypatch):
    class Tied(torch.nn.Module):
        def __init__(self, shape, classes):
            super().__init__()
            self.first, self.last = torch.nn.Linear(math.prod(shape), 10), torch.nn.Linear(10, 10)
            self.middle = torch.nn.Linear(10, 10)
            self.last.weight = self.middle.weight

        def forward(self, x):
            return self.last(torch.relu(self.middle(torch.relu(self.first(x.flatten(1))))))

    monkeypatch.setitem(models.MODELS, "tied", Tied)
    recipe = tiny.replace(model="tied", options={})
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(runs.queue, "as_run", interrupted)
        runs.train_and_record(recipe, 0, progress=False)
    runs.train_and_record(recipe, 0, keep_weights=True, progress=False)
    kept = runs.load_record(runs.record_file("tiny", 0)).network()
    assert kept.last.weight is kept.middle.weight and kept.last.weight.isfinite().all()


def test_a_run_that_another_process_is_at_is_left_to_it(recorded_folder, tiny, no_training):
    with FileLock(recorded_folder / "tiny-seed0.lock"):
        assert runs.train_and_record(tiny, 0, progress=False, wait=False) is runs.Claim.BUSY
    assert not runs.record_file("tiny", 0).exists()


def test_a_run_that_another_process_finished_meanwhile_is_not_trained_again(
    recorded, recorded_folder, tiny, no_training, monkeypatch
):
    """The record appears between the first look and the lock."""
    content = recorded.read_bytes()
    recorded.unlink()

    class SlowLock(FileLock):
        def acquire(self, *arguments, **options):
            recorded.write_bytes(content)
            return super().acquire(*arguments, **options)

    monkeypatch.setattr(runs.queue, "FileLock", SlowLock)
    assert runs.train_and_record(tiny, 0, progress=False) is runs.Claim.DONE
    assert recorded.read_bytes() == content
    assert not list(recorded_folder.glob("*.lock"))


def test_a_recording_that_was_killed_after_its_record_is_tidied_up(
    recorded, recorded_folder, tiny, no_training
):
    lock = recorded_folder / "tiny-seed0.lock"
    lock.touch()
    assert runs.train_and_record(tiny, 0, progress=False) is runs.Claim.DONE
    assert not lock.exists()


def test_a_checkpoint_that_a_recording_into_another_folder_removed_is_no_harm(
    recorded_folder, tiny, cache, monkeypatch
):
    as_run = runs.queue.as_run

    def meanwhile(*arguments):
        (checkpoint,) = (cache / "checkpoints").iterdir()
        checkpoint.unlink()
        return as_run(*arguments)

    monkeypatch.setattr(runs.queue, "as_run", meanwhile)
    assert runs.load_record(fakes.record(tiny.replace(epochs=1))).seed == 0
    assert {path.name for path in recorded_folder.iterdir()} == KEPT


def test_a_record_goes_into_the_folder_that_is_named(recorded_folder, tiny, tmp_path, no_training):
    assert runs.record_file("tiny", 3) == recorded_folder / "tiny-seed3.json"
    assert runs.record_file("tiny", 3, "there") == Path("there/tiny-seed3.json")
    assert runs.weights_file("tiny", 3, "there") == Path("there/tiny-seed3.safetensors")
    with pytest.raises(CourseError, match="No run of 'tiny' is recorded"):
        runs.load_runs("tiny", tmp_path)


@pytest.fixture
def installed(recorded_folder, monkeypatch):
    """The library without its repository, as pip installs it."""
    monkeypatch.setattr(runs.record, "IS_CHECKOUT", False)
    return recorded_folder


def test_new_records_never_go_into_an_installed_package(installed, tiny, cache):
    path = fakes.record(tiny, keep_weights=True)
    assert path == cache / "runs" / "tiny-seed0.json"
    assert list(installed.iterdir()) == []
    assert {found.name for found in path.parent.iterdir()} == KEPT | {"tiny-seed0.safetensors"}


def test_what_was_recorded_outside_the_package_is_found_again(recorded, installed, tiny, cache, no_training):
    (cache / "runs").mkdir()
    for name in ONCE:
        moved = installed / name
        moved.rename(cache / "runs" / name)
    (kept,) = runs.load_runs("tiny")
    assert kept.network() and len(kept.predictions()) == 100
    assert runs.run(tiny).replayed
    assert runs.labels_file("toy").parent == cache / "runs"
    assert runs.train_and_record(tiny, 0, progress=False) is runs.Claim.DONE


def test_the_courses_records_stay_beside_those_of_the_user(recorded, installed, tiny, cache):
    fakes.record(tiny.replace(epochs=1), seed=1)
    assert [run.seed for run in runs.load_runs("tiny")] == [0, 1]
    assert runs.record_file("tiny", 0) == recorded
    assert runs.record_file("tiny", 1).parent == cache / "runs"


def test_a_record_of_an_installed_package_is_renewed_elsewhere(recorded, installed, tiny, cache):
    before = fakes.snapshot(installed)
    recorded.with_suffix(".predictions.gz").unlink()
    del before[recorded.with_suffix(".predictions.gz")]
    assert runs.train_and_record(tiny, 0, progress=False, renew=True) is runs.Claim.MINE
    assert fakes.snapshot(installed) == before
    assert (cache / "runs" / "tiny-seed0.predictions.gz").exists()


@pytest.mark.skipif("os.name == 'nt'", reason="folders there have no such right")
def test_new_records_do_not_go_into_a_copy_that_cannot_be_written(recorded_folder, cache, monkeypatch):
    assert runs.new_records_folder() == recorded_folder
    monkeypatch.setattr(runs.record.os, "access", lambda path, right: path != recorded_folder)
    assert runs.new_records_folder() == cache / "runs"


def test_recording_works_where_windows_rules_hold(recorded_folder, tiny, cache, monkeypatch):
    systems.play_windows(monkeypatch)
    assert runs.load_record(fakes.record(tiny.replace(epochs=1))).seed == 0
    assert {path.name for path in recorded_folder.iterdir()} == KEPT
    assert list((cache / "checkpoints").iterdir()) == []


def test_recording_goes_on_without_locks_and_says_so(recorded_folder, tiny, cache, monkeypatch):
    systems.take_locks_away(monkeypatch)
    with pytest.warns(UserWarning, match="has no locks: let only one process at a time write there"):
        fakes.record(tiny.replace(epochs=1))
    assert {path.name for path in recorded_folder.iterdir()} == KEPT
    assert list((cache / "checkpoints").iterdir()) == []


def interrupted(*arguments):
    raise KeyboardInterrupt


def test_recorded_weights_give_the_same_outputs(recorded_folder, tiny, toy_images, monkeypatch):
    trained = []
    train = training.train
    monkeypatch.setattr(runs.queue, "train", lambda *a, **o: trained.append(train(*a, **o)) or trained[-1])
    kept = runs.load_record(fakes.record(tiny, keep_weights=True))
    network = kept.network()
    pixels = toy_images.test.pixels
    assert torch.equal(evaluate.predict(network, pixels), evaluate.predict(trained[0].model, pixels))
    assert not network.training
    assert (
        evaluate.accuracy(evaluate.predict(network, pixels), toy_images.test.labels)
        == (kept.result["test_accuracy"])
    )


def test_a_network_comes_from_the_folder_of_its_record(recorded, tiny, toy_images, tmp_path):
    folder = tmp_path / "elsewhere"
    path = fakes.record(tiny.replace(epochs=1), folder=folder, keep_weights=True)
    kept = runs.load_record(path)
    assert runs.load_runs("tiny", folder)[0].recipe == kept.recipe
    found = evaluate.accuracy(
        evaluate.predict(kept.network(), toy_images.test.pixels), toy_images.test.labels
    )
    assert found == kept.result["test_accuracy"]
    weights = (runs.load_record(one).network().state_dict()["conv1.weight"] for one in (path, recorded))
    assert not torch.equal(*weights)


def test_weights_are_kept_only_when_asked_for(recorded_folder, tiny):
    runs.train_and_record(tiny.replace(epochs=1), 0, progress=False)
    assert {path.name for path in recorded_folder.iterdir()} == KEPT


def test_a_seed_may_be_numpys(recorded_folder, tiny):
    runs.train_and_record(tiny.replace(epochs=1), np.int64(3), progress=False)
    assert runs.load_record(runs.record_file("tiny", 3)).seed == 3


def test_an_identical_run_is_replayed(recorded, tiny, toy_images, no_training, capsys):
    for images in (None, toy_images):
        kept = runs.run(tiny, images)
        assert kept.replayed
        assert runs.as_record(kept) == json.loads(recorded.read_text())
        out = capsys.readouterr().out
        assert out.startswith(f"tiny, seed 0: test accuracy {kept.result['test_accuracy']:.1%} of 100. ")
        assert " Replayed.\n" in out


CHANGES = {
    "data": "toy/shuffled",
    "model": "mlp",
    "options": {"width": 5},
    "init": "he",
    "epochs": 3,
    "batch_size": 33,
    "optimizer": "adamw",
    "rate": 0.006,
    "weight_decay": 0.002,
    "schedule": "cosine",
    "decay_every": 14,
    "flip": False,
    "shift": 1,
    "border": "mirror",
    "loss": "squared-error",
    "label_smoothing": 0.1,
    "sides": [[0, 24]],
    "crop": True,
    "views": 2,
    "holdout": False,
}


class Trains(Exception):
    pass


@pytest.fixture
def training_shows(monkeypatch):
    def trains(*arguments, **options):
        raise Trains

    monkeypatch.setattr(runs.replay, "train", trains)


@pytest.mark.parametrize("field", CHANGES)
def test_a_recipe_with_any_field_changed_trains(field, recorded, tiny, training_shows):
    assert set(CHANGES) | {"name"} == set(tiny.as_dict())
    with pytest.raises(Trains):
        runs.run(tiny.replace(**{field: CHANGES[field]}))


def test_another_seed_or_other_images_train(recorded, tiny, toy_images, training_shows):
    with pytest.raises(Trains):
        runs.run(tiny, toy_images, seed=1)
    with pytest.raises(Trains):
        runs.run(tiny, toy_images.with_fingerprint("another"))
    with pytest.raises(Trains):
        runs.run(tiny, replace(toy_images, train=toy_images.train[:300]))
    inverted = data.Images(255 - toy_images.train.pixels, toy_images.train.labels)
    with pytest.raises(Trains):
        runs.run(tiny, replace(toy_images, train=inverted))
    with pytest.raises(Trains):
        runs.run(tiny, replace(toy_images, test=toy_images.test[:50]))
    recorded.rename(runs.record_file("tiny", 1))
    with pytest.raises(Trains):
        runs.run(tiny, toy_images, seed=1)


def test_images_of_another_data_set_are_refused(recorded, tiny, no_training):
    with pytest.raises(CourseError, match=r"'tiny' trains on 'toy', but was given 'toy/shuffled'\."):
        runs.run(tiny, data.load("toy/shuffled"))


def test_the_full_profile_keeps_a_finished_training(tiny, recorded_folder, monkeypatch):
    monkeypatch.setenv("CIFAR_PROFILE", "full")
    first = runs.run(tiny)
    monkeypatch.setattr("cifar_lib.training.loop.train_epoch", lambda *_: pytest.fail("it trained"))
    again = runs.run(tiny)
    assert (again.history, again.result) == (first.history, first.result)


def test_in_the_full_profile_a_part_of_the_images_is_not_taken_for_the_whole(
    tiny, toy_images, recorded_folder, monkeypatch
):
    monkeypatch.setenv("CIFAR_PROFILE", "full")
    whole = runs.run(tiny)
    part = runs.run(tiny, replace(toy_images, train=toy_images.train[:300]))
    assert (whole.data["n_train"], part.data["n_train"]) == (360, 270)
    assert part.history != whole.history


@pytest.mark.parametrize("profile", ["full", "quick"])
def test_other_profiles_never_replay(profile, recorded, tiny, toy_images, training_shows, monkeypatch):
    monkeypatch.setenv("CIFAR_PROFILE", profile)
    with pytest.raises(Trains):
        runs.run(tiny, toy_images)


def test_a_live_run_says_so_and_has_its_network(tiny, toy_images, recorded_folder, capsys):
    live = runs.run(tiny.replace(epochs=1), toy_images)
    assert not live.replayed
    assert "Trained on " in capsys.readouterr().out
    outputs = evaluate.predict(live.network(), toy_images.test.pixels)
    assert evaluate.accuracy(outputs, toy_images.test.labels) == live.result["test_accuracy"]
    assert fakes.snapshot(recorded_folder) == {}


def test_a_run_has_the_seconds_of_its_training(tiny, toy_images):
    trained = training.Trained(models.build(tiny, (3, 32, 32)), seconds=12.34)
    assert runs.replay.as_run(tiny, toy_images, 0, trained).seconds == 12.3


def test_a_run_that_a_gpu_cannot_evaluate_does_not_keep_the_others_from_being_recorded(
    recorded_folder, tiny, monkeypatch
):
    evaluated, predict_parts = [], runs.replay.predict_parts

    def full_at_first(*arguments):
        evaluated.append(arguments)
        if len(evaluated) == 1:
            raise torch.OutOfMemoryError("CUDA out of memory.")
        return predict_parts(*arguments)

    monkeypatch.setattr(runs.replay, "predict_parts", full_at_first)
    said = []
    with pytest.raises(CourseError, match="not recorded, for the reasons above: tiny seed 0"):
        wanted = [(tiny.replace(epochs=1), seed) for seed in (0, 1)]
        runs.record_all(wanted, progress=False, say=lambda text, *_, **__: said.append(str(text)))
    assert any("The GPU has too little free memory" in text for text in said)
    assert [path.name for path in recorded_folder.glob("*.json")] == ["tiny-seed1.json"]


def test_among_several_processes_a_run_that_fails_ends_the_recording(recorded_folder, tiny, monkeypatch):
    """The others may be in the middle of this run, and would wait for this process."""

    def fails(recipe, seed, **options):
        asked.append(seed)
        raise CourseError("The loss became nan.")

    asked = []
    monkeypatch.setattr(runs.queue, "train_and_record", fails)
    monkeypatch.setattr(runs.queue.distributed, "world_size", lambda: 2)
    with pytest.raises(CourseError, match=r"^The loss became nan\.$"):
        runs.record_all([(tiny, 0), (tiny, 1)], progress=False)
    assert asked == [0]


def test_who_asks_for_weights_that_an_earlier_recording_did_not_keep_is_told(recorded_folder, tiny, capsys):
    path, wanted = fakes.record(tiny.replace(epochs=1)), [(tiny.replace(epochs=1), 0)]
    told = f"recorded before without its weights: move {path} away to record them too"
    for keep in (False, True):
        runs.record_all(wanted, keep_weights=keep, progress=False)
        assert (told in capsys.readouterr().out) == keep
    path.unlink()
    runs.record_all(wanted, keep_weights=True, progress=False)
    assert "without its weights" not in capsys.readouterr().out


def test_a_run_that_is_kept_says_whether_it_was_trained_now(tiny, toy_images, tmp_path):
    for trained_now in (True, False):
        kept, now = runs.train_and_keep(
            tiny.replace(epochs=1), toy_images, 0, folder=tmp_path, progress=False
        )
        assert (now, kept.replayed) == (trained_now, not trained_now)


def test_runs_are_one_a_seed(tiny, recorded_folder):
    several = runs.run_seeds(tiny.replace(epochs=1), seeds=(0, 2))
    assert [one.seed for one in several] == [0, 2]
    assert several[0].history != several[1].history


def test_several_runs_print_one_line(recorded, recorded_folder, tiny, capsys, monkeypatch):
    content = json.loads(recorded.read_text())
    content["result"]["test_accuracy"], content["seconds"] = 0.25, 10
    recorded.write_text(json.dumps(content))
    content["result"]["test_accuracy"], content["seconds"], content["seed"] = 0.35, 21, 1
    runs.record_file("tiny", 1).write_text(json.dumps(content))
    with monkeypatch.context() as patch:
        patch.setattr(runs.replay, "train", lambda *_, **__: pytest.fail("it trained"))
        runs.run_seeds(tiny, seeds=(0, 1))
    device = content["environment"]["device"]
    expected = "tiny: test accuracy 30.0 ± 7.1 % (2 seeds) of 100. Replayed.\n"
    assert capsys.readouterr().out == expected
    runs.run_seeds(tiny.replace(epochs=1), seeds=(0, 1))
    out = capsys.readouterr().out
    assert out.startswith("tiny: test accuracy ")
    assert out.endswith(f" (2 seeds) of 100. Trained on {device}.\n")
    assert out.count("\n") == 1


def test_runs_of_which_one_was_trained_now_are_not_called_replayed(recorded, tiny, capsys):
    runs.run_seeds(tiny, seeds=(0, 1))
    assert "Trained on" in capsys.readouterr().out


def test_by_default_all_seeds_are_run_that_are_recorded(recorded, tiny, no_training, monkeypatch):
    monkeypatch.setitem(recipes.RECIPES, "tiny", tiny)
    content = json.loads(recorded.read_text())
    runs.record_file("tiny", 5).write_text(json.dumps(content | {"seed": 5}))
    assert [one.seed for one in runs.run_seeds("tiny")] == [0, 5]


def test_the_quick_profile_takes_two_seeds(recorded_folder, tiny, monkeypatch):
    monkeypatch.setenv("CIFAR_PROFILE", "quick")
    for seeds in ((4, 7, 9), np.array([4, 7, 9])):
        assert [one.seed for one in runs.run_seeds(tiny, seeds=seeds)] == [4, 7]


def test_recorded_runs_come_by_seed(recorded, recorded_folder, tiny):
    for seed in (10, 2):
        content = json.loads(recorded.read_text()) | {"seed": seed}
        runs.record_file("tiny", seed).write_text(json.dumps(content))
    (recorded_folder / "tiny-pool-seed0.json").write_text("another recipe's")
    assert [one.seed for one in runs.load_runs("tiny")] == [0, 2, 10]


def test_the_quick_profile_takes_the_quick_form(monkeypatch, capsys):
    assert runs.recipe_for_profile("study") == recipes.RECIPES["study"]
    monkeypatch.setenv("CIFAR_PROFILE", "quick")
    assert runs.recipe_for_profile("study") == recipes.RECIPES["study"].quick()
    assert runs.recipe_for_profile("study-quick") == recipes.RECIPES["study"].quick()
    assert runs.load_data("cifar10/shuffled").name == "toy/shuffled"
    assert "stands in for cifar10/shuffled" in capsys.readouterr().out


def test_the_seeds_that_several_recipes_share(recorded, recorded_folder, tiny, monkeypatch):
    content = json.loads(recorded.read_text())
    for name, seed in (("tiny", 10), ("tiny", 2), ("other", 2), ("other", 10), ("other", 3)):
        changed = content | {"seed": seed, "recipe": tiny.replace(name=name).as_dict()}
        runs.record_file(name, seed).write_text(json.dumps(changed))
    assert runs.seeds_of("tiny") == [0, 2, 10]
    assert runs.seeds_of("tiny", "other") == [2, 10]
    monkeypatch.setenv("CIFAR_PROFILE", "quick")
    assert runs.seeds_of("tiny", "other") == [0]


@pytest.mark.parametrize("name", runs.replay.PROFILES)
def test_a_chapter_starts_by_naming_its_profile(name, monkeypatch, capsys):
    monkeypatch.setenv("CIFAR_PROFILE", name)
    runs.show_profile()
    assert capsys.readouterr().out.startswith(f"Profile {name}: ")


@pytest.mark.parametrize(
    ("name", "capability", "told"),
    [
        ("full", None, True),
        ("full", (6, 1), True),  # a GPU for which this PyTorch has no code is not used
        ("full", (8, 0), False),
        ("recorded", None, False),
        ("quick", None, False),
    ],
)
def test_who_trains_without_a_gpu_is_told_where_there_is_one(name, capability, told, monkeypatch, capsys):
    monkeypatch.setenv("CIFAR_PROFILE", name)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: capability is not None)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: int(capability is not None))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: capability)
    monkeypatch.setattr(torch.cuda, "get_arch_list", lambda: ["sm_75"])
    runs.show_profile()
    assert ("There is no GPU here" in capsys.readouterr().out) == told


def test_mean_and_spread():
    assert evaluate.mean_and_spread([1, 2, 3, 6]) == (3, pytest.approx(math.sqrt(14 / 3)))
    mean, spread = evaluate.mean_and_spread([0.7])
    assert mean == 0.7
    assert math.isnan(spread)


def run(share, top2=0.9):
    return runs.Run(None, {}, {}, 0, [], {"test_accuracy": share, "val_top2": top2}, {}, 1.0)


def test_the_difference_has_welchs_interval():
    """By his formula: the standard error, and the t quantile at his degrees of freedom."""
    one, other = [0.71, 0.73, 0.75], [0.70, 0.66]
    squares = [0.02**2 / 3, 2 * 0.02**2 / 2]  # variance of each mean: 0.0004 / 3, 0.0008 / 2
    freedom = sum(squares) ** 2 / (squares[0] ** 2 / 2 + squares[1] ** 2 / 1)
    half = stats.t.ppf(0.975, freedom) * math.sqrt(sum(squares))
    found = evaluate.welch_interval(one, other)
    assert found == pytest.approx((0.05, 0.05 - half, 0.05 + half))
    assert all(type(number) is float for number in found)
    back = evaluate.welch_interval(other, one)
    assert back == pytest.approx((-0.05, -0.05 - half, -0.05 + half))


def test_the_results_of_several_runs():
    assert runs.results([run(0.1, 0.8), run(0.3, 0.9)]) == [0.1, 0.3]
    assert runs.results([run(0.1, 0.8), run(0.3, 0.9)], "val_top2") == [0.8, 0.9]


def test_a_result_or_a_column_that_there_is_not_is_told_with_those_that_there_are():
    assert refusal(runs.results, [run(0.1)], "loss") == (
        "A run has no result 'loss': choose one of test_accuracy, val_top2."
    )
    assert "no result 'loss'" in refusal(runs.summarize, [run(0.1)], "loss")
    one = runs.load_runs("paper")[0]
    assert "The history has no 'loss': choose one of epoch, rate, train_loss" in refusal(one.column, "loss")


def test_nothing_is_summarized_without_runs():
    assert "at least one" in refusal(runs.summarize, [])


def test_a_seed_in_the_place_of_the_images_is_told(tiny):
    assert "was given int: a seed is named, as seed=1" in refusal(runs.run, tiny, 1)


def test_summarize():
    assert runs.summarize([run(0.713), run(0.719), run(0.725)]) == "71.9 ± 0.6 % (3 seeds)"
    assert runs.summarize([run(0.713)]) == "71.3 % (1 seed)"
    assert runs.summarize([run(0.1), run(0.2)], "val_top2") == "90.0 ± 0.0 % (2 seeds)"


def test_the_records_that_ship_are_whole():
    for path in sorted(runs.record.RECORDED.glob("*.json")):
        kept = runs.load_record(path)
        assert path == runs.record_file(kept.recipe.name, kept.seed)
        assert len(kept.history) == kept.recipe.epochs
        assert kept.recipe == recipes.RECIPES[kept.recipe.name]
        if runs.weights_file(kept.recipe.name, kept.seed).exists():
            kept.network()


def test_more_views_are_recorded_beside_the_single_one(tiny, monkeypatch):
    monkeypatch.setenv("CIFAR_PROFILE", "full")
    monkeypatch.setattr(runs.queue, "checkpoint_file", lambda key: None)
    run = runs.run(tiny.replace(name="views", epochs=1, views=6, holdout=False))
    assert set(run.result) == {"test_accuracy", "test_top2", "test_accuracy_views", "test_loss"}
    assert (run.data["n_train"], run.data["n_val"]) == (len(data.load("toy").train), 0)


UNFIT = {
    "no test images": lambda images: {"test": images.test[:0]},
    "another size": lambda images: {"test": data.Images(images.test.pixels[..., :28], images.test.labels)},
    "labels of no class": lambda images: {"test": data.Images(images.test.pixels, images.test.labels + 1)},
    "one class": lambda images: {"classes": ("a",)},
    "257 classes": lambda images: {"classes": tuple(map(str, range(257)))},
}


@pytest.mark.parametrize("how", UNFIT)
@pytest.mark.parametrize("keep", [True, False])
def test_test_images_that_do_not_fit_are_refused_before_the_training(how, keep, tiny, toy_images, tmp_path):
    unfit = replace(toy_images, **UNFIT[how](toy_images))
    started = []

    class Seen(training.Callback):
        def on_epoch(self, entry):
            started.append(entry)

    with pytest.raises(CourseError):
        if keep:
            runs.train_and_keep(tiny, unfit, 0, folder=tmp_path / "kept", progress=[Seen()])
        else:
            runs.run(tiny, unfit)
    assert not started and not list((tmp_path / "kept").glob("*.json"))
    assert not list((tmp_path / "cache").rglob("*.safetensors"))


def test_kept_scores_are_not_those_of_other_images(tiny, toy_images, tmp_path):
    kept, _ = runs.train_and_keep(tiny.replace(epochs=1), toy_images, 0, folder=tmp_path, progress=False)
    assert runs.kept_scores(kept, toy_images)[1].accuracy == kept.result["test_accuracy"]
    relabelled = data.Images(toy_images.test.pixels, toy_images.test.labels.flip(0))
    for other in (
        replace(toy_images, test=relabelled),
        replace(toy_images, test=toy_images.test[:50]),
        replace(toy_images, train=toy_images.train[:200]),
    ):
        with pytest.raises(CourseError, match="other images"):
            runs.kept_scores(kept, other)


@pytest.mark.parametrize("seeds", [[], np.arange(0)])
def test_no_seeds_are_nothing_to_run(seeds, tiny):
    with pytest.raises(CourseError, match="name at least one"):
        runs.run_seeds(tiny, seeds=seeds)
