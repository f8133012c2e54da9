"""What watches a training while it runs: lines, a bar, JSON, event files for TensorBoard."""

import json
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tqdm import tqdm
from tqdm.auto import tqdm as bar_of_the_place

from .. import CourseError
from .checkpoint import RunKey


class Callback:
    """What `train` tells of a training while it runs. A subclass overrides what it needs.

    Of several processes only the first calls it.
    """

    def on_start(self, key: RunKey, history: list[dict[str, Any]], steps: int) -> None:
        """Before the first epoch.

        Args:
            key: what is trained.
            history: the entries of the epochs that were done before the training was stopped, if it was.
            steps: per epoch.
        """

    def on_step(self) -> None:
        """Before each step."""

    def on_epoch(self, entry: dict[str, Any]) -> None:
        """After each epoch, once its checkpoint is written; `entry` is its entry of the history."""

    def on_end(self) -> None:
        """When the training is over or has failed; called even if `on_start` was not."""


class EpochBar(Callback):
    """A progress bar over the epochs with the latest loss and accuracy."""

    def on_start(self, key: RunKey, history: list[dict[str, Any]], steps: int) -> None:
        self._bar = bar_of_the_place(initial=len(history), total=key.recipe.epochs, unit="epoch")

    def on_epoch(self, entry: dict[str, Any]) -> None:
        accuracy = entry["val_accuracy"]
        shown = "not validated" if accuracy is None else f"{accuracy:.1%}"
        self._bar.set_postfix(loss=f"{entry['train_loss']:.3f}", accuracy=shown, refresh=False)
        self._bar.update()

    def on_end(self) -> None:
        if hasattr(self, "_bar"):
            self._bar.close()


class EpochLines(Callback):
    """A line on stdout for each finished epoch; on a terminal, a bar over the steps of the one that runs.

    Attributes:
        done: the number of finished epochs, those before a resume included.
    """

    done = 0

    def on_start(self, key: RunKey, history: list[dict[str, Any]], steps: int) -> None:
        self.done, self._epochs = len(history), key.recipe.epochs
        if history:
            self._write(self.resumed(key))
        # disable=None: no bar where stderr is a file or a pipe.
        self._bar = tqdm(total=steps, unit="step", leave=False, disable=None)
        self._name_the_epoch()

    def on_step(self) -> None:
        self._bar.update()

    def on_epoch(self, entry: dict[str, Any]) -> None:
        self.done = entry["epoch"]
        self._write(self.line(entry))
        if self.done < self._epochs:
            self._bar.reset()
            self._name_the_epoch()

    def on_end(self) -> None:
        if hasattr(self, "_bar"):
            self._bar.close()

    def line(self, entry: dict[str, Any]) -> str:
        """What is printed of an epoch."""
        line = f"epoch {entry['epoch']:3}  rate {entry['rate']:.5f}  loss {entry['train_loss']:.4f}"
        if entry["val_accuracy"] is not None:
            line += f"  validation loss {entry['val_loss']:.4f}  accuracy {entry['val_accuracy']:.1%}"
        return f"{line}  {entry['seconds']:.1f} s"

    def resumed(self, key: RunKey) -> str:
        """What is printed where a training goes on."""
        return f"going on after epoch {self.done} of {key.recipe.epochs}, from the checkpoint"

    def _name_the_epoch(self) -> None:
        self._bar.set_description(f"epoch {min(self.done + 1, self._epochs)}/{self._epochs}")

    @staticmethod
    def _write(line: str) -> None:
        tqdm.write(line, file=sys.stdout)  # above the bar
        sys.stdout.flush()


class EpochObjects(EpochLines):
    """The same with a JSON object per line: "event" is "epoch" or "resume", beside recipe and seed."""

    def on_start(self, key: RunKey, history: list[dict[str, Any]], steps: int) -> None:
        self._run = {"recipe": key.recipe.name, "seed": key.seed}
        super().on_start(key, history, steps)

    def line(self, entry: dict[str, Any]) -> str:
        """The entry of the history as JSON."""
        return json.dumps({"event": "epoch"} | self._run | entry)

    def resumed(self, key: RunKey) -> str:
        """The last finished epoch as JSON."""
        return json.dumps({"event": "resume"} | self._run | {"epoch": self.done})


class TensorBoard(Callback):
    """Event files that TensorBoard shows: rate, losses and validation accuracy by epoch.

    Args:
        folder: gets a folder for each run, NAME-seedN.

    Raises:
        CourseError: the package tensorboard is not installed.
    """

    def __init__(self, folder: Path | str) -> None:
        try:
            from torch.utils.tensorboard import SummaryWriter
        except ImportError:
            raise CourseError(
                "TensorBoard's package is not installed: pip install tensorboard, or leave out --tensorboard."
            ) from None
        self._make, self._folder = SummaryWriter, Path(folder)
        self._writer: Any = None

    def on_start(self, key: RunKey, history: list[dict[str, Any]], steps: int) -> None:
        # Epochs that an earlier process wrote, but whose checkpoint it did not finish, are shown once.
        self._writer = self._make(
            str(self._folder / f"{key.recipe.name}-seed{key.seed}"), purge_step=len(history) + 1
        )

    def on_epoch(self, entry: dict[str, Any]) -> None:
        for name in ("rate", "train_loss", "val_loss", "val_accuracy"):
            if entry[name] is not None:
                self._writer.add_scalar(name, entry[name], entry["epoch"])
        self._writer.flush()

    def on_end(self) -> None:
        if self._writer is not None:
            self._writer.close()


@contextmanager
def told(progress: bool | Iterable[Callback]) -> Iterator[list[Callback]]:
    """The callbacks of a training: those that were given, a bar for True, none for False."""
    if isinstance(progress, bool):
        progress = [EpochBar()] if progress else []
    callbacks = list(progress)
    try:
        yield callbacks
    finally:
        for callback in callbacks:
            callback.on_end()
