"""What watches a training is told of each step and epoch, in order, and changes nothing."""

import io
import sys
from types import ModuleType

import pytest
import trainings

from cifar_lib import CourseError, training


class Listener(training.Callback):
    def __init__(self):
        self.told = []

    def on_start(self, key, history, steps):
        self.told.append(("start", key.recipe.name, key.seed, len(history), steps))

    def on_step(self):
        self.told.append("step")

    def on_epoch(self, entry):
        self.told.append(("epoch", entry["epoch"]))

    def on_end(self):
        self.told.append("end")


def test_a_callback_is_told_of_each_step_and_epoch_and_changes_nothing(tiny, toy_images):
    listener, recipe = Listener(), tiny.replace(epochs=2)
    watched = training.train(recipe, toy_images, 3, progress=[listener])
    steps = 360 // 32
    expected = [("start", "tiny", 3, 0, steps)]
    for epoch in (1, 2):
        expected += ["step"] * steps + [("epoch", epoch)]
    assert listener.told == [*expected, "end"]
    trainings.assert_same(watched, training.train(recipe, toy_images, 3))


def test_an_epoch_is_told_once_its_checkpoint_is_written(tiny, toy_images, tmp_path):
    class Interrupts(Listener):
        def on_epoch(self, entry):
            raise KeyboardInterrupt

    path, listener = tmp_path / "checkpoint", Interrupts()
    with pytest.raises(KeyboardInterrupt):
        training.train(tiny.replace(epochs=2), toy_images, checkpoint=path, progress=[listener])
    assert listener.told[-1] == "end"
    resumed = Listener()
    training.train(tiny.replace(epochs=2), toy_images, checkpoint=path, progress=[resumed])
    assert resumed.told[0][3] == 1 and ("epoch", 1) not in resumed.told and ("epoch", 2) in resumed.told


def test_a_terminal_has_a_bar_over_the_steps_and_a_pipe_has_none(tiny, toy_images, monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self):
            return True

    for stream, has_bar in ((Terminal(), True), (io.StringIO(), False)):
        monkeypatch.setattr(sys, "stderr", stream)
        training.train(tiny.replace(epochs=1), toy_images, progress=[training.EpochLines()])
        assert ("epoch 1/1" in stream.getvalue() and "/11 " in stream.getvalue()) == has_bar


def test_a_resumed_training_says_where_it_goes_on(tiny, toy_images, tmp_path, capsys):
    path = tmp_path / "checkpoint"

    class Interrupts(training.Callback):
        def on_epoch(self, entry):
            raise KeyboardInterrupt

    recipe = tiny.replace(epochs=2)
    with pytest.raises(KeyboardInterrupt):
        training.train(recipe, toy_images, checkpoint=path, progress=[Interrupts()])
    training.train(recipe, toy_images, checkpoint=path, progress=[training.EpochLines()])
    first, second = capsys.readouterr().out.splitlines()
    assert first == "going on after epoch 1 of 2, from the checkpoint" and second.startswith("epoch   2 ")


@pytest.fixture
def writers(monkeypatch):
    """What is written by a stand-in for the writer of TensorBoard's package."""
    written = []

    class SummaryWriter:
        def __init__(self, folder, purge_step):
            written.append((folder, purge_step))

        def add_scalar(self, name, value, step):
            written.append((name, value, step))

        def flush(self):
            pass

        def close(self):
            written.append("closed")

    module = ModuleType("torch.utils.tensorboard")
    module.SummaryWriter = SummaryWriter
    monkeypatch.setitem(sys.modules, module.__name__, module)
    return written


def test_tensorboard_gets_each_epoch(tiny, toy_images, tmp_path, writers):
    recipe = tiny.replace(epochs=1, holdout=False)
    trained = training.train(recipe, toy_images, 5, progress=[training.TensorBoard(tmp_path)])
    (entry,) = trained.history
    assert writers == [
        (str(tmp_path / "tiny-seed5"), 1),
        ("rate", entry["rate"], 1),
        ("train_loss", entry["train_loss"], 1),
        "closed",
    ]


def test_without_tensorboards_package_there_is_a_sentence(monkeypatch, tmp_path):
    monkeypatch.setitem(sys.modules, "torch.utils.tensorboard", None)
    with pytest.raises(CourseError, match="TensorBoard's package is not installed: pip install tensorboard"):
        training.TensorBoard(tmp_path)
