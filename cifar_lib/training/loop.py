"""The training loop: one loop for CPU and GPU, which can stop at any epoch and go on exactly."""

import math
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import nn
from tqdm.auto import tqdm

from .. import CourseError, evaluate
from ..data import Dataset, Images, batches, epoch_seed
from ..recipes import Recipe
from ..system import device as devices
from ..system import distributed
from ..system.threads import Threads
from .checkpoint import RunKey, load_checkpoint, save_checkpoint
from .optimizers import training_loss
from .setup import augmentation_at, set_up
from .version import CODE_VERSION


@dataclass
class Trained:
    """A network and how it got there: one history entry an epoch, seconds of training in all.

    `code` and `device` name what trained it; all of them, where a later one went on.
    """

    model: nn.Module
    history: list[dict[str, Any]] = field(default_factory=list)
    seconds: float = 0.0
    code: str = CODE_VERSION
    device: str = ""


@devices.memory_given_back()
def train(
    recipe: Recipe,
    dataset: Dataset,
    seed: int = 0,
    *,
    device: str | None = None,
    checkpoint: Path | None = None,
    progress: bool = False,
    compiled: bool = False,
) -> Trained:
    """Train a recipe's network on 90 % of the training images and validate it on the other 10 %.

    A recipe without a holdout trains on all of them and validates on none. Several processes
    (`distributed`) share each batch: the curve is that of one process up to rounding and dropout.

    Args:
        seed: sets initial weights, order of images, augmentation.
        device: "cpu", "cuda", ... or None for the best there is.
        checkpoint: a file that is written after each epoch; if it is there, training goes on from it.
        progress: show a bar.
        compiled: let `torch.compile` fuse the forward and the backward pass, on a GPU into graphs that
            are launched at once. It takes a minute or more, again at each new size of the images, and
            its rounding differs.

    Returns:
        `Trained`; each history entry has epoch (from 1), rate, train_loss (mean over the epoch's
        batches), val_loss, val_accuracy (0 to 1; both None without a holdout), seconds (training and
        validation, not the writing of the checkpoint), training_seconds. The first epoch's times
        include what is done once, such as loading a GPU's kernels.

    Raises:
        CourseError: see `set_up`; or the loss is no longer finite, the checkpoint belongs to another
            run, several processes do not see the same, or `torch.compile` does not work here.
    """
    setup = set_up(recipe, dataset, seed, device)
    key = RunKey(recipe, dataset.key, seed)
    state = Trained(setup.model, device=devices.describe(setup.device))
    if checkpoint is not None and checkpoint.exists():
        load_checkpoint(checkpoint, key, state, setup.optimizer)
    distributed.assert_equal("images and checkpoint", (dataset.fingerprint, len(state.history)))
    if setup.device.type == "cpu":
        devices.keep_freed_memory()

    first = distributed.rank() == 0  # it alone writes and shows
    with (
        _compiled(setup.model, compiled) as model,
        _Bar(len(state.history), recipe.epochs, shown=progress and first) as bar,
        Threads(setup.device, shown=progress and first) as threads,
    ):
        for epoch in range(len(state.history) + 1, recipe.epochs + 1):
            start = time.perf_counter()
            # Dropout draws from it: anew in each epoch and each process, the same after a resume.
            torch.manual_seed(epoch_seed(seed, epoch) + 10_007 * distributed.rank())
            train_loss = train_epoch(recipe, model, setup.optimizer, setup.training, seed, epoch, threads)
            trained = time.perf_counter()
            validation = validate(setup.model, setup.validation)
            seconds = time.perf_counter() - start
            state.history.append(
                {"epoch": epoch, "rate": recipe.rate_at(epoch - 1), "train_loss": train_loss}
                | validation
                | {"seconds": round(seconds, 3), "training_seconds": round(trained - start, 3)}
            )
            state.seconds += seconds
            bar.show(train_loss, validation["val_accuracy"])
            if checkpoint is not None and first:
                save_checkpoint(checkpoint, key, state, setup.optimizer)
    state.device = threads.describe(state.device)
    setup.model.eval()
    return state


def train_epoch(
    recipe: Recipe,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Images,
    seed: int,
    epoch: int,
    before_step: Callable[[], None] | None = None,
) -> float:
    """One pass over `images`; returns the mean training loss of its batches.

    A step needs nothing from the CPU but its launch: order, augmentation and rates of the whole epoch lie
    on the device before the first, and losses stay there until the last. So the loop never waits for a
    number. Each of several processes takes its shard of a batch, weights the loss by the shard's size,
    and adds its gradients to those of the others.

    Args:
        images: uint8 images on the device that trains.
        epoch: counted from 1.
        before_step: called before each step.

    Raises:
        CourseError: the loss is no longer finite.
    """
    device = images.labels.device
    dtype = devices.training_dtype(device)
    done = epoch - 1  # schedules count the epochs that lie behind
    # Anew for each epoch, so that a resumed training has the same.
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    steps = len(images) // recipe.batch_size
    rates = [recipe.rate_at(done + step / steps) for step in range(steps)]
    if device.type != "cpu":  # there a plain number is quicker
        rates = torch.tensor(rates).to(device, non_blocking=True)
    total = torch.zeros((), device=device)
    model.train()
    stream = batches(
        images,
        recipe.batch_size,
        seed=seed,
        epoch=epoch,
        augmentation=augmentation_at(recipe, done),
        shard=distributed.shard(recipe.batch_size),
    )
    for (inputs, labels), rate in zip(stream, rates, strict=True):
        if before_step is not None:
            before_step()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        with devices.autocast(device, dtype):
            loss = training_loss(recipe, model(inputs), labels)
        if len(labels) < recipe.batch_size:
            loss = loss * (len(labels) / recipe.batch_size)
        scaler.scale(loss).backward()
        distributed.all_reduce(weight.grad for weight in model.parameters() if weight.grad is not None)
        scaler.step(optimizer)
        scaler.update()
        total += loss.detach()
    distributed.all_reduce([total])
    mean = total.item() / steps
    if not math.isfinite(mean):
        raise CourseError(
            f"The loss of {recipe.name!r} became {mean} in epoch {epoch} at rate "
            f"{recipe.rate:g}: lower the rate."
        )
    return mean


def validate(model: nn.Module, images: Images) -> dict[str, float | None]:
    """Loss and accuracy on the held-out images, or None for both where there are none."""
    if not len(images):
        return {"val_loss": None, "val_accuracy": None}
    outputs = distributed.map_shards(partial(evaluate.predict, model), images.pixels)
    labels = images.labels.cpu()
    return {"val_loss": evaluate.loss(outputs, labels), "val_accuracy": evaluate.accuracy(outputs, labels)}


@contextmanager
def _compiled(model, wanted) -> Iterator[nn.Module]:
    """The network that takes the steps: itself, or compiled; then a failure to compile is one sentence."""
    if not wanted:
        yield model
        return
    if distributed.world_size() > 1:
        raise CourseError("A compiled step is for one process: leave out --compile.")
    try:
        yield torch.compile(model, mode="reduce-overhead", dynamic=False)
    except torch._dynamo.exc.TorchDynamoException as error:
        raise CourseError(
            f"torch.compile does not work here ({type(error).__name__}): leave out --compile."
        ) from error


class _Bar:
    """A bar over the epochs, with the last loss and accuracy behind it."""

    def __init__(self, done, epochs, shown):
        self._bar = tqdm(initial=done, total=epochs, disable=not shown, unit="epoch")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self._bar.close()

    def show(self, loss, accuracy):
        shown = "not validated" if accuracy is None else f"{accuracy:.1%}"
        self._bar.set_postfix(loss=f"{loss:.3f}", accuracy=shown, refresh=False)
        self._bar.update()
