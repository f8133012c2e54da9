"""Checkpoints: a stopped training resumes exactly, and no wrong file is taken for one."""

import errno
import os
import random
from dataclasses import replace
from functools import partialmethod

import pytest
import systems
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import nn
from trainings import DEVICES, Killed, assert_same

from cifar_lib import CourseError, data, models, training
from cifar_lib.system import device
from cifar_lib.system.threads import Threads
from cifar_lib.training import make_optimizer


def killed_after(epochs, monkeypatch):
    """The next training stops right after it saved this many checkpoints."""
    save, saved = training.save_checkpoint, []

    def save_and_die(*arguments):
        save(*arguments)
        saved.append(arguments)
        if len(saved) == epochs:
            raise Killed

    monkeypatch.setattr(training.loop, "save_checkpoint", save_and_die)


FAST = {
    "model": "fast-cnn",
    "options": {"widths": [8, 16, 16]},
    "batch_size": 50,
    "rate": 0.2,
    "label_smoothing": 0.2,
    "sides": [[0, 24], [0.5, 32]],
}


@pytest.mark.parametrize("place", DEVICES)
@pytest.mark.parametrize(
    ("optimizer", "epochs", "changes"),
    [
        ("adam", 1, {}),
        ("adam", 4, {}),
        ("adamw", 2, {}),
        ("sgd", 3, {}),
        ("sgd", 1, FAST | {"rate": 0.01}),  # with weights that no optimizer moves
        ("muon", 2, FAST),
    ],
)
def test_killed_and_resumed_is_bit_for_bit_uninterrupted(
    place, optimizer, epochs, changes, tiny, toy_images, tmp_path, monkeypatch
):
    recipe = tiny.replace(optimizer=optimizer, **changes)
    straight = training.train(recipe, toy_images, device=place)
    path = tmp_path / "tiny.safetensors"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(epochs, patch)
        training.train(recipe, toy_images, device=place, checkpoint=path)
    resumed = training.train(recipe, toy_images, device=place, checkpoint=path)
    assert_same(straight, resumed)
    assert resumed.seconds == pytest.approx(sum(entry["seconds"] for entry in resumed.history), abs=0.01)
    assert not resumed.model.training


class PartlyUsed(nn.Module):
    """A network of the reader's own, with a layer that it never uses."""

    def __init__(self, shape, classes):
        super().__init__()
        self.used = nn.Linear(shape[0] * shape[1] * shape[2], classes)
        self.unused = nn.Linear(3, 3)

    def forward(self, x):
        return self.used(x.flatten(1))


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_a_network_with_a_layer_that_it_never_uses_goes_on(
    optimizer, tiny, toy_images, tmp_path, monkeypatch
):
    monkeypatch.setitem(models.MODELS, "partly", PartlyUsed)
    recipe = tiny.replace(model="partly", options={}, optimizer=optimizer)
    straight = training.train(recipe, toy_images, device="cpu")
    path = tmp_path / "tiny.safetensors"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(1, patch)
        training.train(recipe, toy_images, device="cpu", checkpoint=path)
    assert_same(straight, training.train(recipe, toy_images, device="cpu", checkpoint=path))


def test_killed_while_writing_goes_on_from_the_checkpoint_before(tiny, toy_images, tmp_path, monkeypatch):
    path, saves = tmp_path / "tiny.safetensors", []

    def half(tensors, aside, notes):
        saves.append(aside)
        if len(saves) == 3:
            aside.write_bytes(b"half")
            raise Killed
        original(tensors, aside, notes)

    original = training.checkpoint.save_file
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(training.checkpoint, "save_file", half)
        training.train(tiny, toy_images, checkpoint=path)
    assert [file.name for file in tmp_path.glob("*tiny*")] == [path.name]
    assert_same(training.train(tiny, toy_images), training.train(tiny, toy_images, checkpoint=path))


@pytest.mark.cuda
def test_a_checkpoint_of_the_gpu_goes_on_on_the_cpu(tiny, toy_images, tmp_path, monkeypatch):
    path = tmp_path / "tiny.safetensors"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(2, patch)
        training.train(tiny, toy_images, device="cuda", checkpoint=path)
    assert len(training.train(tiny, toy_images, device="cpu", checkpoint=path).history) == 4


ONCE = []


class Saved:
    """A checkpoint of `tiny` after one epoch, and how to read it."""

    def __init__(self, path, recipe, dataset):
        self.path, self.recipe, self.dataset = path, recipe.replace(epochs=1), dataset
        if not ONCE:
            training.train(self.recipe, dataset, checkpoint=path)
            ONCE.append(path.read_bytes())
        (self.content,) = ONCE
        path.write_bytes(self.content)

        model = models.build(self.recipe, (3, 32, 32)).to(memory_format=torch.channels_last)
        self.state, self.optimizer = training.Trained(model), make_optimizer(self.recipe, model)

    def load(self):
        key = training.RunKey(self.recipe, self.dataset.key, 0)
        training.load_checkpoint(self.path, key, self.state, self.optimizer)
        return self.state

    def refusal(self):
        """The sentence with which it is refused; any other exception fails the test."""
        with pytest.raises(CourseError) as caught:
            self.load()
        text = str(caught.value)
        assert str(self.path) in text and "delete it to start anew" in text and "\n" not in text
        return text


@pytest.fixture
def saved(tmp_path, tiny, toy_images):
    return Saved(tmp_path / "saved.safetensors", tiny, toy_images)


EVERY = [499, pytest.param(7, marks=pytest.mark.long)]


@pytest.mark.parametrize("every", EVERY)
def test_a_checkpoint_cut_at_any_byte_is_refused(every, saved):
    for length in [*range(20), *range(20, len(saved.content), every), len(saved.content) - 1]:
        saved.path.write_bytes(saved.content[:length])
        assert "is damaged" in saved.refusal()
    saved.path.write_bytes(saved.content + b"x")
    assert "is damaged" in saved.refusal()
    saved.path.write_bytes(saved.content)
    assert len(saved.load().history) == 1


@pytest.mark.parametrize("every", EVERY)
def test_a_checkpoint_with_any_byte_changed_is_refused(every, saved):
    """In the header or in the numbers, one bit or all of them."""
    draws = random.Random(0)
    for place in [*range(20), *range(20, len(saved.content), every), len(saved.content) - 1]:
        content = bytearray(saved.content)
        content[place] ^= draws.choice([1, 2, 4, 8, 16, 32, 64, 128, 255])
        saved.path.write_bytes(content)
        text = saved.refusal()
        assert any(words in text for words in ("is damaged", "belongs to another run", "another version"))


@pytest.mark.parametrize("name", ["history", "seconds", "code", "device"])
def test_a_checkpoint_with_one_note_changed_is_damaged(name, saved):
    """Also where the change makes sense, such as another digit of a loss."""
    with safe_open(saved.path, "pt") as file:
        written = file.metadata()
    other = {"history": written["history"].replace("0.", "1."), "seconds": "12.5"}
    written[name] = other.get(name, written[name] + "x")
    save_file(load_file(saved.path), saved.path, written)
    assert "is damaged" in saved.refusal()


@pytest.mark.parametrize("kind", ["dtype", "shape"])
def test_a_checkpoint_whose_bytes_are_read_as_another_tensor_is_damaged(kind, saved):
    """The bytes of all tensors are the same; the header says what they are."""
    with safe_open(saved.path, "pt") as file:
        written = file.metadata()
    tensors = load_file(saved.path)
    bias = tensors["model.linear.bias"]
    tensors["model.linear.bias"] = bias.view(torch.int32) if kind == "dtype" else bias[None]
    save_file(tensors, saved.path, written)
    assert "is damaged" in saved.refusal()


def test_what_was_loaded_no_longer_needs_the_file(saved):
    """Windows refuses to replace a file that is in use, and the next epoch replaces this one."""
    saved.load()
    with open(saved.path, "r+b") as file:
        file.write(bytes(len(saved.content)))
    assert {float(state["step"]) for state in saved.optimizer.state.values()} == {11.0}


def test_a_folder_in_place_of_a_checkpoint_is_refused(saved):
    saved.path.unlink()
    saved.path.mkdir()
    assert "delete it to start anew" in saved.refusal()


FOREIGN = {
    "nothing": lambda tensors: {},
    "other names": lambda tensors: {f"x.{name}": value for name, value in tensors.items()},
    "another shape": lambda tensors: tensors | {"model.linear.bias": torch.zeros(3)},
    "a part is missing": lambda tensors: {n: t for n, t in tensors.items() if n != "model.linear.bias"},
    "a part too many": lambda tensors: tensors | {"model.more": torch.zeros(3)},
    "another shape in the optimizer": lambda tensors: tensors | {"optimizer.0.exp_avg": torch.zeros(3)},
    "a weight that there is not": lambda tensors: tensors | {"optimizer.99.exp_avg": torch.zeros(3)},
    "no number": lambda tensors: tensors | {"optimizer.x.exp_avg": torch.zeros(3)},
    "no optimizer": lambda tensors: {n: t for n, t in tensors.items() if n.startswith("model.")},
    "a slot is missing": lambda tensors: {n: t for n, t in tensors.items() if n != "optimizer.0.exp_avg"},
    "another optimizer's": lambda tensors: {
        n.replace("exp_avg_sq", "momentum_buffer"): t for n, t in tensors.items() if not n.endswith("step")
    },
}


@pytest.mark.parametrize("kind", FOREIGN)
@pytest.mark.parametrize(
    "notes", ["none", "of this run", "of this run, with their checksum", "of this run, without"]
)
def test_a_foreign_file_in_place_of_a_checkpoint_is_refused(kind, notes, saved):
    tensors = load_file(saved.path)
    with safe_open(saved.path, "pt") as file:
        written = file.metadata()
    tensors = FOREIGN[kind](tensors)
    if notes.endswith(("checksum", "without")):  # as another version of the library might write it
        del written["checksum"]
    if notes.endswith("checksum"):
        written["checksum"] = training.checkpoint._checksum(tensors, written)
    save_file(tensors, saved.path, None if notes == "none" else written)
    expected = {"none": "another version", "of this run": "is damaged"}.get(notes, "another version")
    assert expected in saved.refusal()


WRONG_NOTES = [
    *((name, None) for name in ("history", "seconds", "code", "device")),
    *((name, value) for name in ("history", "seconds") for value in ("no JSON", "[3]", '[{"epoch": 2}]')),
]


@pytest.mark.parametrize(("name", "value"), WRONG_NOTES)
def test_a_checkpoint_with_other_notes_is_refused(name, value, saved):
    with safe_open(saved.path, "pt") as file:
        written = file.metadata()
    del written["checksum"], written[name]
    tensors = load_file(saved.path)
    written |= {} if value is None else {name: value}
    save_file(tensors, saved.path, written | {"checksum": training.checkpoint._checksum(tensors, written)})
    assert "another version" in saved.refusal()


def test_a_checkpoint_that_goes_while_it_is_opened_is_none(saved):
    """A recording of the same run into another folder removes it when it is done."""
    saved.path.unlink()
    assert saved.load().history == []


def test_a_resumed_training_names_all_that_trained_it(tiny, toy_images, tmp_path, monkeypatch):
    path = tmp_path / "tiny.safetensors"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(1, patch)
        patch.setattr(device, "describe", lambda device: "a first machine")
        patch.setattr(training.Trained, "__init__", partialmethod(training.Trained.__init__, code="old"))
        patch.setattr(Threads, "describe", lambda _, device: f"{device} with 1 to 2 threads")
        training.train(tiny, toy_images, checkpoint=path)
    resumed = training.train(tiny, toy_images, device="cpu", checkpoint=path)
    assert resumed.code == f"old, then {training.CODE_VERSION}"
    assert resumed.device.startswith("a first machine with 1 to 2 threads, then ") and "CPU" in resumed.device


def test_two_machines_that_became_one_are_both_named(tiny, toy_images, tmp_path, monkeypatch):
    path = tmp_path / "tiny.safetensors"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        killed_after(1, patch)
        patch.setattr(device, "describe", lambda device: "2 × CPU")
        training.train(tiny, toy_images, checkpoint=path)
    monkeypatch.setattr(device, "describe", lambda device: "CPU")
    assert training.train(tiny, toy_images, checkpoint=path).device == "2 × CPU, then CPU"
    assert training.train(tiny, toy_images, checkpoint=path).device == "2 × CPU, then CPU"


def test_the_progress_of_a_resumed_training_counts_the_epochs_before(saved, capsys):
    training.train(saved.recipe, saved.dataset, checkpoint=saved.path, progress=True)
    assert "1/1" in capsys.readouterr().err


def test_a_training_refuses_a_damaged_checkpoint_and_leaves_it(saved):
    saved.path.write_bytes(saved.content[:-1])
    with pytest.raises(CourseError, match="is damaged: delete it"):
        training.train(saved.recipe, saved.dataset, checkpoint=saved.path)
    assert saved.path.read_bytes() == saved.content[:-1]


def test_a_training_does_not_start_anew_beside_a_checkpoint_that_may_not_be_read(saved, monkeypatch):
    def missing(*_):
        raise FileNotFoundError("No such file or directory")  # as safetensors says it

    systems.close_to_readers(saved.path, monkeypatch)
    monkeypatch.setattr(training.checkpoint, "safe_open", missing)
    with pytest.raises(CourseError, match=r"cannot be read \(Permission denied\)"):
        training.train(saved.recipe, saved.dataset, checkpoint=saved.path)
    monkeypatch.undo()
    assert saved.path.read_bytes() == saved.content


def test_a_run_with_an_option_that_no_file_can_hold_has_no_checkpoint(saved):
    key = training.RunKey(saved.recipe.replace(options={"activation": len}), ("", 1), 0)
    with pytest.raises(CourseError, match="of a kind that no file can hold"):
        key.file_name  # noqa: B018


def test_a_checkpoint_may_be_named_in_a_text(saved):
    assert len(training.train(saved.recipe, saved.dataset, checkpoint=str(saved.path)).history) == 1


@pytest.mark.parametrize("change", ["seed", "recipe", "images", "part"])
def test_a_training_refuses_the_checkpoint_of_another_run_and_leaves_it(change, saved):
    recipe = saved.recipe.replace(rate=0.1) if change == "recipe" else saved.recipe
    dataset = data.load("toy/shuffled") if change == "images" else saved.dataset
    if change == "part":  # it keeps the fingerprint
        dataset = replace(dataset, train=dataset.train[:-1])
    with pytest.raises(CourseError, match="belongs to another run: delete it"):
        training.train(recipe, dataset, seed=int(change == "seed"), checkpoint=saved.path)
    assert saved.path.read_bytes() == saved.content


def test_a_full_disk_leaves_the_checkpoint_of_the_epoch_before(tiny, toy_images, tmp_path, monkeypatch):
    path, recipe, saves = tmp_path / "tiny.safetensors", tiny.replace(epochs=2), []

    def save(tensors, aside, notes):
        saves.append(aside)
        if len(saves) == 2:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        return save_file(tensors, aside, notes)

    with monkeypatch.context() as patch, pytest.raises(CourseError, match="No space is left"):
        patch.setattr(training.checkpoint, "save_file", save)
        training.train(recipe, toy_images, checkpoint=path)
    state = training.train(recipe, toy_images, checkpoint=path)
    assert len(state.history) == 2


def test_a_checkpoint_below_a_file_is_refused(tmp_path, tiny, toy_images):
    (tmp_path / "file").write_text("kept")
    path = tmp_path / "file" / "deeper" / "tiny.safetensors"
    with pytest.raises(CourseError, match="cannot be written: a file stands where a folder is needed"):
        training.train(tiny.replace(epochs=1), toy_images, checkpoint=path)
    assert (tmp_path / "file").read_text() == "kept"


def test_the_name_of_a_checkpoint_tells_recipes_images_and_seeds_apart(tiny):
    key = training.RunKey(tiny, ("abc", 400), 3)
    others = [
        replace(key, recipe=tiny.replace(rate=0.1)),
        replace(key, images=("xyz", 400)),
        replace(key, images=("abc", 399)),
        replace(key, seed=4),
    ]
    assert key.file_name.startswith("tiny-seed3-") and key.file_name.endswith(".safetensors")
    assert len({one.file_name for one in (key, *others)}) == 5
    assert training.RunKey(tiny, ("abc", 400), 3).file_name == key.file_name
