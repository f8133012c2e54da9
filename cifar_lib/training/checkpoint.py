"""Checkpoints, from which a stopped training resumes exactly where it was."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor, nn

from .. import CourseError
from ..recipes import Recipe
from ..recipes.recipe import as_json
from ..system.files import atomic_write
from .trained import Trained


@dataclass(frozen=True)
class RunKey:
    """What identifies a run: its recipe, its training images and its seed.

    Args:
        images: `Dataset.key`, the fingerprint and the number of the training images.
        seed: as in `train`.
    """

    recipe: Recipe
    images: tuple[str, int]
    seed: int

    def as_text(self) -> str:
        """The whole key as JSON, which a checkpoint contains.

        Raises:
            CourseError: an option of the recipe is of a kind that no file can hold.
        """
        content = [self.recipe.as_dict(), self.images, self.seed]
        return as_json(content, sort_keys=True, default=int)  # a seed may be one of numpy's numbers

    @property
    def file_name(self) -> str:
        """The name of the run's checkpoint; its last part differs for another recipe or other images."""
        digest = hashlib.sha256(self.as_text().encode()).hexdigest()
        return f"{self.recipe.name}-seed{self.seed}-{digest[:8]}.safetensors"


SLOTS = {  # the tensors that an optimizer keeps for each weight
    "adam": {"step", "exp_avg", "exp_avg_sq"},
    "adamw": {"step", "exp_avg", "exp_avg_sq"},
    "sgd": {"momentum_buffer"},
    "muon": {"momentum_buffer"},
}


def save_checkpoint(path: Path, key: RunKey, trained: Trained, optimizer: torch.optim.Optimizer) -> None:
    """Save weights, optimizer state and history in one safetensors file, which replaces an older one at once.

    Raises:
        CourseError: the file cannot be written; an older one is still there.
    """
    state = optimizer.state_dict()["state"]
    tensors = {f"model.{name}": value for name, value in trained.model.state_dict().items()}
    for index, slots in state.items():
        tensors |= {f"optimizer.{index}.{slot}": value for slot, value in slots.items()}
    # Copies, because a file cannot hold two tensors of one memory, as the weights that two layers share.
    whole = torch.contiguous_format
    tensors = {name: value.to("cpu", copy=True, memory_format=whole) for name, value in tensors.items()}
    notes = {
        "key": key.as_text(),
        "history": json.dumps(trained.history),
        "seconds": json.dumps(trained.seconds),
        "code": trained.code,
        "device": trained.device,
        "unused": json.dumps(sorted(_trained_weights(optimizer).keys() - state.keys())),
    }
    with atomic_write(path) as aside:
        save_file(tensors, aside, notes | {"checksum": _checksum(tensors, notes)})


def load_checkpoint(path: Path, key: RunKey, trained: Trained, optimizer: torch.optim.Optimizer) -> None:
    """Restore a saved run's weights, optimizer state and history into `trained` and `optimizer`.

    Nothing changes if the file has just been removed.

    Raises:
        CourseError: the file is damaged, cannot be read, belongs to another recipe, data set or seed, or
            comes from a version of the library whose network or optimizer had other parts.
    """
    try:
        # First, because safetensors calls a file missing that may not be opened.
        open(path, "rb").close()
    except FileNotFoundError:
        return  # another process that recorded the same run has finished, and removed it
    except OSError as error:
        raise CourseError(
            f"The checkpoint {path} cannot be read ({error.strerror}): let this user read it, or "
            f"delete it to start anew."
        ) from None
    try:
        with safe_open(path, "pt") as file:
            notes = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}
    except FileNotFoundError:
        return  # in this moment
    except (SafetensorError, OSError):
        raise CourseError(f"The checkpoint {path} is damaged: delete it to start anew.") from None
    if "key" in notes and notes["key"] != key.as_text():
        raise CourseError(f"The checkpoint {path} belongs to another run: delete it to start anew.")
    other = f"The checkpoint {path} is of another version of this library: delete it to start anew."
    if not {"key", "checksum"} <= set(notes):
        raise CourseError(other)
    if notes.pop("checksum") != _checksum(tensors, notes):  # safetensors itself stores no checksum
        raise CourseError(f"The checkpoint {path} is damaged: delete it to start anew.")
    try:
        history, seconds = json.loads(notes["history"]), float(json.loads(notes["seconds"]))
        if [entry["epoch"] for entry in history] != list(range(1, len(history) + 1)):
            raise ValueError("epochs out of order")
        unused = set(json.loads(notes.get("unused", "[]")))
        _restore(tensors, unused, key.recipe.optimizer, trained.model, optimizer)
        trained.code = with_latest(notes["code"], trained.code)
        trained.device = notes["device"]
    except (RuntimeError, ValueError, IndexError, KeyError, TypeError) as error:
        raise CourseError(other) from error
    trained.history[:], trained.seconds = history, seconds


def with_latest(before: str, now: str) -> str:
    """All that trained a network so far, by name and in order; `before` is "" at the start."""
    if not before:
        return now
    return before if before.split(", then ")[-1] == now else f"{before}, then {now}"


def _trained_weights(optimizer: torch.optim.Optimizer) -> dict[int, Tensor]:
    """The weights that are trained, by the numbers by which an optimizer's state names them."""
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    return {index: weight for index, weight in enumerate(weights) if weight.requires_grad}


def _restore(
    tensors: dict[str, Tensor],
    unused: set[int],
    kind: str,
    model: nn.Module,
    optimizer: torch.optim.Optimizer,
) -> None:
    """Load a checkpoint's tensors; any exception means that they do not fit the network or the optimizer.

    Args:
        unused: the weights that had no gradient, and so no state: those that a network never uses.
    """
    weights = _trained_weights(optimizer)
    values: dict[str, Tensor] = {}
    slots: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("model."):
            values[name.removeprefix("model.")] = value
            continue
        _, index, slot = name.split(".")
        weight = weights[int(index)]
        if value.shape == weight.shape:  # fused optimizers need the memory order of the weight
            value = torch.empty_like(weight).copy_(value)
        elif value.ndim:
            raise ValueError(name)
        else:  # a copy: while a tensor of the file is in use, Windows refuses to replace the file
            value = value.clone()
        slots.setdefault(int(index), {})[slot] = value
    if slots.keys() != weights.keys() - unused or any(kept.keys() != SLOTS[kind] for kept in slots.values()):
        raise ValueError("another optimizer's")
    model.load_state_dict(values)
    optimizer.load_state_dict(optimizer.state_dict() | {"state": slots})


def _checksum(tensors: dict[str, Tensor], notes: dict[str, str]) -> str:
    """SHA-256 in hexadecimal of all that a checkpoint contains; the tensors are contiguous and on the CPU."""
    total = hashlib.sha256(json.dumps(notes, sort_keys=True).encode())
    for name in sorted(tensors):
        value = tensors[name]
        total.update(f"{name} {value.dtype} {list(value.shape)} ".encode())
        total.update(value.flatten().view(torch.uint8).numpy().data)
    return total.hexdigest()
