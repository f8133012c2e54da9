"""The training loop: one loop for CPU and GPU, which can stop at any epoch and go on exactly."""

import hashlib
import json
import math
import time
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import nn
from tqdm.auto import tqdm

from . import CourseError, __version__, distributed, evaluate, kernels, models
from . import device as devices
from .data import batches, normalize, split
from .files import written_aside
from .optim import Muon
from .threads import Threads

PREPARE_IMAGES = 5_000  # enough to see the covariance of patches
MUON_SCALES = {2: 11, 1: 220}  # rates of matrices and of biases, as multiples of the filters' rate


SLOTS = {  # what an optimizer keeps of each weight
    "adam": {"step", "exp_avg", "exp_avg_sq"},
    "adamw": {"step", "exp_avg", "exp_avg_sq"},
    "sgd": {"momentum_buffer"},
    "muon": {"momentum_buffer"},
}


def _code_version():
    """The package's version and a hash of the modules that decide a training's numbers."""
    names = "data device distributed evaluate family fast kernels models optim recipes train winograd".split()
    content = b"".join(Path(__file__).with_name(f"{name}.py").read_bytes() for name in names)
    return f"{__version__}+{hashlib.sha256(content).hexdigest()[:8]}"


CODE_VERSION = _code_version()  # at import: a long run must not take the name of later edits


@dataclass
class Trained:
    """A network and how it got there: one history entry an epoch, seconds of training in all.

    `code` and `device` name what trained it; all of them, where a later one went on.
    """

    model: nn.Module
    history: list = field(default_factory=list)
    seconds: float = 0.0
    code: str = CODE_VERSION
    device: str = ""


@devices.memory_given_back()
def train(recipe, dataset, seed=0, *, device=None, checkpoint=None, progress=False, compiled=False):
    """Train a recipe's network on 90 % of the training images, watching the other 10 %.

    A recipe without a holdout trains on all of them and watches none. Several processes
    (`distributed`) share each batch: the curve is that of one process, but for rounding and dropout.

    Args:
        recipe: a `recipes.Recipe`.
        dataset: a `data.Dataset`.
        seed: sets initial weights, order of images, augmentation.
        device: "cpu", "cuda", ... or None for the best there is.
        checkpoint: a file that is written after each epoch; if it is there, training goes on from it.
        progress: show a bar.
        compiled: let `torch.compile` fuse the forward and the backward pass, on a GPU into graphs that
            are launched at once. It takes a minute or more, again at each new size of the images, and
            rounds otherwise than without.

    Returns:
        `Trained`; each history entry has epoch (from 1), rate, train_loss (mean over the epoch's
        batches), val_loss, val_accuracy (0 to 1; both None without a holdout), seconds (training and
        validation, not the writing of the checkpoint), training_seconds. The first epoch's times
        include what is done once, as loading a GPU's kernels.

    Raises:
        CourseError: the loss is no longer finite, or the checkpoint belongs to another run, or
            several processes do not see the same, or `torch.compile` does not work here.
    """
    if not 0 <= seed < 2**32:
        raise CourseError(f"A seed is a whole number from 0 to {2**32 - 1}, not {seed}.")
    device = devices.pick(device)
    parts = split(dataset.train) if recipe.holdout else (dataset.train, dataset.train[:0])
    training, validation = (part.to(device) for part in parts)
    if recipe.holdout and not len(validation):
        raise CourseError(
            f"{len(dataset.train)} images are too few to hold out a tenth of each class: add some, or "
            f"train with holdout=False."
        )
    if len(training) < recipe.batch_size:
        raise CourseError(f"A batch of {recipe.batch_size} is more than the {len(training)} images.")
    if recipe.batch_size < distributed.count():
        raise CourseError(f"{distributed.count()} processes cannot share a batch of {recipe.batch_size}.")
    if compiled and distributed.count() > 1:
        raise CourseError("A compiled step is for one process: leave out --compile.")

    shape = tuple(training.pixels.shape[1:])
    if recipe.crop > min(shape[1:]):
        raise CourseError(f"A shift of up to {recipe.crop} pixels is more than the images' {min(shape[1:])}.")
    widest = max((side for _, side in recipe.sides), default=0)
    if recipe.cut and widest > min(shape[1:]):
        raise CourseError(f"A window of {widest} pixels cannot be cut from images of {min(shape[1:])}.")

    torch.manual_seed(seed)
    model = models.build(recipe, shape)
    models.try_out(model, recipe, shape, len(dataset.classes))
    if hasattr(model, "prepare"):
        model.prepare(normalize(training.pixels[:PREPARE_IMAGES].cpu()))
    model = distributed.shared(model).to(device=device, memory_format=torch.channels_last)
    model = kernels.quicken(model)
    stepped = torch.compile(model, mode="reduce-overhead", dynamic=False) if compiled else model
    optimizer = make_optimizer(recipe, model)
    state = Trained(model, device=devices.describe(device))
    if checkpoint is not None and checkpoint.exists():
        load_checkpoint(checkpoint, recipe, dataset, seed, state, optimizer)
    distributed.agree("images and checkpoint", (dataset.fingerprint, len(state.history)))

    epochs = range(len(state.history) + 1, recipe.epochs + 1)
    first = distributed.rank() == 0  # it alone writes and shows
    hidden = not (progress and first)
    bar = tqdm(epochs, initial=len(state.history), total=recipe.epochs, disable=hidden, unit="epoch")
    if device.type == "cpu":
        devices.keep_memory()
    with Threads(device, shown=not hidden) as threads:
        for epoch in bar:
            start = time.perf_counter()
            torch.manual_seed(seed * 1_000_003 + epoch + 10_007 * distributed.rank())  # dropout draws from it
            try:
                train_loss = train_epoch(recipe, stepped, optimizer, training, seed, epoch, threads)
            except RuntimeError as error:
                if not compiled or not isinstance(error, torch._dynamo.exc.TorchDynamoException):
                    raise
                raise CourseError(
                    f"torch.compile does not work here ({type(error).__name__}): leave out --compile."
                ) from None
            trained = time.perf_counter()
            watched = watch(model, validation)
            seconds = time.perf_counter() - start
            state.history.append(
                {"epoch": epoch, "rate": recipe.rate_at(epoch - 1), "train_loss": train_loss}
                | watched
                | {"seconds": round(seconds, 3), "training_seconds": round(trained - start, 3)}
            )
            state.seconds += seconds
            shown = f"{watched['val_accuracy']:.1%}" if len(validation) else "not watched"
            bar.set_postfix(loss=f"{train_loss:.3f}", accuracy=shown)
            if checkpoint is not None and first:
                save_checkpoint(checkpoint, recipe, dataset, seed, state, optimizer)
    state.device = threads.describe(state.device)
    model.eval()
    return state


def watch(model, images):
    """Loss and accuracy on the held-out images, or None for both where there are none."""
    if not len(images):
        return {"val_loss": None, "val_accuracy": None}
    outputs, labels = distributed.divided(partial(evaluate.logits, model), images.pixels), images.labels.cpu()
    return {
        "val_loss": evaluate.loss(outputs, labels),
        "val_accuracy": evaluate.accuracy(outputs, labels),
    }


def train_epoch(recipe, model, optimizer, images, seed, epoch, before_step=None):
    """One pass over `images`; returns the mean training loss of its batches.

    `before_step` is called before each.

    A step needs nothing from the CPU but its launch: order, augmentation and rates of the whole epoch lie
    on the device before the first, and losses stay there until the last. So the loop never waits for a
    number. Of several processes each takes its part of a batch, weighs the loss by the size of that part,
    and adds its gradients to those of the others.
    """
    device = images.labels.device
    dtype = devices.training_dtype(device)
    # Anew for each epoch, so that a resumed training has the same.
    scaler = torch.amp.GradScaler(device.type, enabled=dtype == torch.float16)
    steps = len(images) // recipe.batch_size
    rates = [recipe.rate_at(epoch - 1 + step / steps) for step in range(steps)]
    if device.type != "cpu":  # there a plain number is quicker
        rates = torch.tensor(rates).to(device, non_blocking=True)
    total = torch.zeros((), device=device)
    model.train()
    changes = {name: getattr(recipe, name) for name in ("flip", "crop", "border", "cut")}
    changes |= {"side": recipe.side_at(epoch - 1), "part": distributed.part(recipe.batch_size)}
    stream = batches(images, recipe.batch_size, seed=seed, epoch=epoch, **changes)
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
        distributed.add_up(weight.grad for weight in model.parameters() if weight.grad is not None)
        scaler.step(optimizer)
        scaler.update()
        total += loss.detach()
    distributed.add_up([total])
    mean = total.item() / steps
    if not math.isfinite(mean):
        raise CourseError(
            f"The loss of {recipe.name!r} became {mean} in epoch {epoch} at rate "
            f"{recipe.rate:g}: lower the rate."
        )
    return mean


def training_loss(recipe, logits, labels):
    """Cross entropy, or the squared distance of the logits from the one-hot label (Hui and Belkin 2021).

    The second is summed over the classes; both are means over the batch. Cross entropy may smooth
    the labels (Szegedy et al. 2016, section 7).
    """
    if recipe.loss == "squared-error":
        target = F.one_hot(labels, logits.shape[1])
        return (logits.float() - target).square().sum(1).mean()
    return F.cross_entropy(logits, labels, label_smoothing=recipe.label_smoothing)


def make_optimizer(recipe, model):
    """Adam, AdamW, SGD with momentum 0.9, or Muon, as the recipe says."""
    settings = {"lr": recipe.rate, "weight_decay": recipe.weight_decay}
    if recipe.optimizer == "muon":
        trained = [weight for weight in model.parameters() if weight.requires_grad]
        by_dimensions = {n: [weight for weight in trained if weight.ndim == n] for n in (4, 2, 1)}
        others = [{"params": by_dimensions[n], "scale": MUON_SCALES[n]} for n in MUON_SCALES]
        return Muon(by_dimensions[4], [group for group in others if group["params"]], **settings)
    settings["fused"] = True
    if recipe.optimizer == "sgd":
        return torch.optim.SGD(model.parameters(), momentum=0.9, nesterov=True, **settings)
    kind = torch.optim.AdamW if recipe.optimizer == "adamw" else torch.optim.Adam
    # Then a step may be recorded as a CUDA graph, which reads its rate on the device.
    graphs = next(model.parameters()).device.type == "cuda"
    return kind(model.parameters(), capturable=graphs, **settings)


def save_checkpoint(path, recipe, dataset, seed, state, optimizer):
    """Weights, optimizer state and history in one safetensors file, written aside and renamed."""
    tensors = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{key}": value for key, value in slots.items() if value is not None}
    tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
    notes = _identity(recipe, dataset, seed) | {
        "history": json.dumps(state.history),
        "seconds": json.dumps(state.seconds),
        "code": state.code,
        "device": state.device,
    }
    with written_aside(path) as aside:
        save_file(tensors, aside, notes | {"checksum": _checksum(tensors, notes)})


def load_checkpoint(path, recipe, dataset, seed, state, optimizer):
    """Put a saved run's weights, optimizer state and history back in place.

    Raises:
        CourseError: the file is damaged, or of another recipe, data set or seed, or of a version of
            the library whose network or optimizer had other parts.
    """
    try:
        with safe_open(path, "pt") as file:
            notes = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except FileNotFoundError:
        return  # a recording into another folder shared it, and is done
    except (SafetensorError, OSError):
        raise CourseError(f"The checkpoint {path} is damaged: delete it to start anew.") from None
    expected = _identity(recipe, dataset, seed)
    if {key: notes.get(key) for key in expected} != expected:
        raise CourseError(f"The checkpoint {path} belongs to another run: delete it to start anew.")
    other = f"The checkpoint {path} is of another version of this library: delete it to start anew."
    if "checksum" not in notes:
        raise CourseError(other)
    if notes.pop("checksum") != _checksum(tensors, notes):  # safetensors has none of its own
        raise CourseError(f"The checkpoint {path} is damaged: delete it to start anew.")
    try:
        history, seconds = json.loads(notes["history"]), float(json.loads(notes["seconds"]))
        if [entry["epoch"] for entry in history] != list(range(1, len(history) + 1)):
            raise ValueError("epochs out of order")
        _restore(tensors, recipe, state.model, optimizer)
        state.code, state.device = (
            notes[name] if notes[name].split(", then ")[-1] == now else f"{notes[name]}, then {now}"
            for name, now in (("code", state.code), ("device", state.device))
        )
    except (RuntimeError, ValueError, IndexError, KeyError, TypeError):
        raise CourseError(other) from None
    state.history[:], state.seconds = history, seconds


def _restore(tensors, recipe, model, optimizer):
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    values, slots = {}, {}
    for name, value in tensors.items():
        if name.startswith("model."):
            values[name.removeprefix("model.")] = value
            continue
        _, index, key = name.split(".")
        weight = weights[int(index)]
        if value.shape == weight.shape:  # fused optimizers need the weight's memory layout
            value = torch.empty_like(weight).copy_(value)
        elif value.ndim:
            raise ValueError(name)
        slots.setdefault(int(index), {})[key] = value
    trained = {index for index, weight in enumerate(weights) if weight.requires_grad}
    if set(slots) != trained or any(set(kept) != SLOTS[recipe.optimizer] for kept in slots.values()):
        raise ValueError("another optimizer's")
    model.load_state_dict(values)
    optimizer.load_state_dict(optimizer.state_dict() | {"state": slots})


def _checksum(tensors, notes):
    """SHA-256 over all that a checkpoint holds; the tensors are contiguous and on the CPU."""
    total = hashlib.sha256(json.dumps(notes, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        total.update(f"{name} {value.dtype} {list(value.shape)} ".encode())
        total.update(value.flatten().view(torch.uint8).numpy())
    return total.hexdigest()


def _identity(recipe, dataset, seed):
    return {
        "recipe": json.dumps(recipe.as_dict(), sort_keys=True),
        "fingerprint": dataset.fingerprint,
        "images": str(len(dataset.train)),
        "seed": str(seed),
    }
