"""The training loop: one loop for CPU and GPU that can be stopped after any epoch and resumed exactly."""

import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import cast

import torch
from torch import Tensor, nn

from .. import CourseError, evaluate
from ..data import Dataset, Images, batches, epoch_seed
from ..recipes import Recipe
from ..system import device as devices
from ..system import distributed
from ..system.threads import Threads
from .callbacks import Callback, told
from .checkpoint import RunKey, load_checkpoint, save_checkpoint, with_latest
from .optimizers import training_loss
from .setup import augmentation_at, set_up
from .trained import Trained


@devices.memory_given_back()
@devices.gpu_memory_in_words()
def train(
    recipe: Recipe,
    dataset: Dataset,
    seed: int = 0,
    *,
    device: str | None = None,
    checkpoint: Path | str | None = None,
    progress: bool | Iterable[Callback] = False,
    compiled: bool = False,
) -> Trained:
    """Train a recipe's network on 90 % of the training images and validate it on the other 10 %.

    A recipe without a holdout trains on all of them and validates on none. Several processes
    (`distributed`) share each batch: their curve is that of one process up to rounding and dropout.

    Args:
        seed: sets the initial weights, the order of the images, augmentation and dropout; 0 to 2³² − 1.
        device: "cpu", "cuda" or "cuda:1"; None for a GPU where there is one, else the CPU.
        checkpoint: a file that is written after each epoch. If it exists, training resumes from it.
        progress: show a progress bar; or callbacks, which are told of each step and of each epoch.
        compiled: let `torch.compile` fuse the forward and the backward pass, and on a GPU record them as
            CUDA graphs. This takes a minute or more for each size of the images, and its rounding differs.

    Returns:
        The network, in evaluation mode, with its history. Each entry of the history has epoch (from 1),
        rate (at the start of the epoch), train_loss (mean over the epoch's batches), val_loss (nats per
        image), val_accuracy (0 to 1; both None without a holdout), seconds (training and validation, not
        the writing of the checkpoint) and training_seconds. The first epoch's times include what is done
        only once, such as loading a GPU's kernels.

    Raises:
        CourseError: the recipe does not fit the images (see `set_up`), the loss is no longer finite, the
            checkpoint is damaged, cannot be read or belongs to another run, the processes do not see the same
            images and checkpoint, `torch.compile` does not work here, or a GPU has too little free memory.
    """
    setup = set_up(recipe, dataset, seed, device)
    seed = int(seed)  # it may be one of numpy's, which PyTorch does not take everywhere
    trained, device_here = Trained(setup.model), devices.describe(setup.device)
    key, history = RunKey(recipe, dataset.key, seed), trained.history
    checkpoint = None if checkpoint is None else Path(checkpoint)
    if checkpoint is not None and checkpoint.exists():
        load_checkpoint(checkpoint, key, trained, setup.optimizer)
    earlier_devices = trained.device
    distributed.assert_equal("images and checkpoint", (dataset.fingerprint, len(history)))
    if setup.device.type == "cpu":
        devices.keep_freed_memory()

    first = distributed.rank() == 0  # the only process that writes files and shows progress
    with (
        _compiled(setup.model, compiled) as model,
        told(progress if first else False) as callbacks,
        Threads(setup.device, shown=bool(callbacks)) as threads,
    ):
        for callback in callbacks:
            callback.on_start(key, history, len(setup.training) // recipe.batch_size)

        def before_step() -> None:
            threads()
            for callback in callbacks:
                callback.on_step()

        for epoch in range(len(history) + 1, recipe.epochs + 1):
            start = time.perf_counter()
            _seed_dropout(seed, epoch)
            loss = train_epoch(recipe, model, setup.optimizer, setup.training, seed, epoch, before_step)
            training_seconds = time.perf_counter() - start
            validation = validate(setup.model, setup.validation)
            if validation["val_loss"] is not None:
                check_finite(validation["val_loss"], "validation loss", recipe, epoch)
            seconds = time.perf_counter() - start

            entry = {"epoch": epoch, "rate": recipe.rate_at(epoch - 1), "train_loss": loss} | validation
            entry |= {"seconds": round(seconds, 3), "training_seconds": round(training_seconds, 3)}
            history.append(entry)
            trained.seconds += seconds
            trained.device = with_latest(earlier_devices, threads.describe(device_here))
            if checkpoint is not None and first:
                save_checkpoint(checkpoint, key, trained, setup.optimizer)
            for callback in callbacks:
                callback.on_epoch(entry)
    setup.model.eval()
    return trained


def train_epoch(
    recipe: Recipe,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
    images: Images,
    seed: int,
    epoch: int,
    before_step: Callable[[], None] | None = None,
) -> float:
    """Train for one pass over `images`; returns the mean training loss of its batches.

    Within an epoch the CPU and a GPU do not wait for each other: order, augmentation and rates of the whole
    epoch are sent to the device before the first step, and the losses stay there until after the last. Each
    of several processes takes its share of every batch, weights its loss by the size of that share, and adds
    its gradients to those of the others.

    Args:
        images: uint8 images on the device that trains.
        epoch: counted from 1.
        before_step: called before each step.

    Raises:
        CourseError: the loss is no longer finite.
    """
    device, size = images.labels.device, recipe.batch_size
    dtype = devices.training_dtype(device)
    # Its scale starts anew in each epoch, so that a checkpoint need not keep it.
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    augmentation = augmentation_at(recipe, epoch - 1)
    shard = distributed.shard(size)
    stream = batches(images, size, seed=seed, epoch=epoch, augmentation=augmentation, shard=shard)
    rates = _rates(recipe, epoch, len(images) // size, device)
    total = torch.zeros((), device=device)

    model.train()
    for (inputs, labels), rate in zip(stream, rates, strict=True):
        if before_step is not None:
            before_step()
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        with devices.autocast(device, dtype):
            loss = training_loss(recipe, model(inputs), labels)
        if len(labels) < size:  # a share of the batch: the shares' losses add up to the mean over the batch
            loss = loss * (len(labels) / size)
        scaler.scale(loss).backward()
        distributed.all_reduce(weight.grad for weight in model.parameters() if weight.grad is not None)
        scaler.step(optimizer)
        scaler.update()
        total += loss.detach()

    distributed.all_reduce([total])
    mean = total.item() / len(rates)
    check_finite(mean, "loss", recipe, epoch)
    return mean


def check_finite(loss: float, what: str, recipe: Recipe, epoch: int) -> None:
    """Make sure that a training has not diverged.

    Args:
        what: the name of the loss.

    Raises:
        CourseError: the loss is infinite or no number.
    """
    if not math.isfinite(loss):
        raise CourseError(
            f"The {what} of {recipe.name!r} became {loss} in epoch {epoch} at rate {recipe.rate:g}: "
            f"lower the rate."
        )


def validate(model: nn.Module, images: Images) -> dict[str, float | None]:
    """Measure `model` on the held-out images.

    Returns:
        val_loss (mean cross entropy in nats, whatever loss training minimises) and val_accuracy (0 to 1);
        None for both where there are no images.
    """
    if not len(images):
        return {"val_loss": None, "val_accuracy": None}
    outputs = distributed.map_shards(partial(evaluate.predict, model), images.pixels)
    labels = images.labels.cpu()
    return {"val_loss": evaluate.loss(outputs, labels), "val_accuracy": evaluate.accuracy(outputs, labels)}


def _seed_dropout(seed: int, epoch: int) -> None:
    """Seed PyTorch's own generator, so that dropout draws the same in an epoch after a resume.

    Each epoch has other draws, and so has each of several processes, because they see other images.
    """
    torch.manual_seed(epoch_seed(seed, epoch) + 10_007 * distributed.rank())


def _rates(recipe: Recipe, epoch: int, steps: int, device: torch.device) -> list[float] | Tensor:
    """The learning rate of each step of an epoch."""
    rates = [recipe.rate_at(epoch - 1 + step / steps) for step in range(steps)]
    # A CPU multiplies faster by a plain number. To a GPU each number would be sent on its own.
    return rates if device.type == "cpu" else torch.tensor(rates).to(device, non_blocking=True)


@contextmanager
def _compiled(model: nn.Module, wanted: bool) -> Iterator[nn.Module]:
    """The network that takes the steps: `model`, or `model` compiled, whose failures become one sentence."""
    if not wanted:
        yield model
        return
    if distributed.world_size() > 1:
        raise CourseError("A compiled step is for one process: leave out --compile.")
    try:
        yield cast(nn.Module, torch.compile(model, mode="reduce-overhead", dynamic=False))
    except torch._dynamo.exc.TorchDynamoException as error:
        raise CourseError(
            f"torch.compile does not work here ({type(error).__name__}): leave out --compile."
        ) from error
