"""Checkpoints: a training that stopped goes on exactly where it was."""

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from .. import CourseError
from ..recipes import Recipe
from ..system.files import atomic_write


@dataclass(frozen=True)
class RunKey:
    """What "the same run" means: the recipe, the training images and the seed.

    Args:
        images: `Dataset.key`, the fingerprint and the number of the training images.
    """

    recipe: Recipe
    images: tuple[str, int]
    seed: int

    def as_text(self) -> str:
        """The whole key, as it stands in a checkpoint."""
        return json.dumps([self.recipe.as_dict(), self.images, self.seed], sort_keys=True)

    @property
    def file_name(self) -> str:
        """The checkpoint's name: a changed recipe has its own, and so have other images."""
        digest = hashlib.sha256(self.as_text().encode()).hexdigest()
        return f"{self.recipe.name}-seed{self.seed}-{digest[:8]}.safetensors"


SLOTS = {  # what an optimizer keeps of each weight
    "adam": {"step", "exp_avg", "exp_avg_sq"},
    "adamw": {"step", "exp_avg", "exp_avg_sq"},
    "sgd": {"momentum_buffer"},
    "muon": {"momentum_buffer"},
}


def save_checkpoint(path: Path, key: RunKey, state, optimizer: torch.optim.Optimizer) -> None:
    """Weights, optimizer state and history in one safetensors file, written aside and renamed."""
    tensors = {f"model.{name}": value for name, value in state.model.state_dict().items()}
    for index, slots in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{index}.{slot}": value for slot, value in slots.items() if value is not None}
    tensors = {name: value.cpu().contiguous() for name, value in tensors.items()}
    notes = {
        "key": key.as_text(),
        "history": json.dumps(state.history),
        "seconds": json.dumps(state.seconds),
        "code": state.code,
        "device": state.device,
    }
    with atomic_write(path) as aside:
        save_file(tensors, aside, notes | {"checksum": _checksum(tensors, notes)})


def load_checkpoint(path: Path, key: RunKey, state, optimizer: torch.optim.Optimizer) -> None:
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
    if "key" in notes and notes["key"] != key.as_text():
        raise CourseError(f"The checkpoint {path} belongs to another run: delete it to start anew.")
    other = f"The checkpoint {path} is of another version of this library: delete it to start anew."
    if not {"key", "checksum"} <= set(notes):
        raise CourseError(other)
    if notes.pop("checksum") != _checksum(tensors, notes):  # safetensors has none of its own
        raise CourseError(f"The checkpoint {path} is damaged: delete it to start anew.")
    try:
        history, seconds = json.loads(notes["history"]), float(json.loads(notes["seconds"]))
        if [entry["epoch"] for entry in history] != list(range(1, len(history) + 1)):
            raise ValueError("epochs out of order")
        _restore(tensors, key.recipe.optimizer, state.model, optimizer)
        state.code, state.device = (
            notes[name] if notes[name].split(", then ")[-1] == now else f"{notes[name]}, then {now}"
            for name, now in (("code", state.code), ("device", state.device))
        )
    except (RuntimeError, ValueError, IndexError, KeyError, TypeError) as error:
        raise CourseError(other) from error
    state.history[:], state.seconds = history, seconds


def _restore(tensors, kind, model, optimizer):
    weights = [weight for group in optimizer.param_groups for weight in group["params"]]
    values, slots = {}, {}
    for name, value in tensors.items():
        if name.startswith("model."):
            values[name.removeprefix("model.")] = value
            continue
        _, index, slot = name.split(".")
        weight = weights[int(index)]
        if value.shape == weight.shape:  # fused optimizers need the weight's memory layout
            value = torch.empty_like(weight).copy_(value)
        elif value.ndim:
            raise ValueError(name)
        slots.setdefault(int(index), {})[slot] = value
    trained = {index for index, weight in enumerate(weights) if weight.requires_grad}
    if set(slots) != trained or any(set(kept) != SLOTS[kind] for kept in slots.values()):
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
