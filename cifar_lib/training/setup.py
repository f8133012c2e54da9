"""What stands ready before the first step: device, images, network, optimizer."""

from dataclasses import dataclass

import torch
from torch import nn

from .. import CourseError, models
from ..data import Augmentation, Dataset, Images, normalize, split
from ..models import kernels
from ..recipes import Recipe
from ..system import device as devices
from ..system import distributed
from .optimizers import make_optimizer

PREPARE_IMAGES = 5_000  # enough to see the covariance of patches
LARGEST_SEED = 2**32 - 1


@dataclass
class Setup:
    """All that `train_epoch` needs; the images and the network lie on the device."""

    device: torch.device
    training: Images
    validation: Images  # empty for a recipe without a holdout
    model: nn.Module
    optimizer: torch.optim.Optimizer


def set_up(recipe: Recipe, dataset: Dataset, seed: int = 0, device: str | None = None) -> Setup:
    """Make ready to train a recipe: a fresh network and its optimizer, the images split and on the device.

    Args:
        seed: sets the initial weights.
        device: "cpu", "cuda", ... or None for the best there is.

    Raises:
        CourseError: the recipe does not fit the images, or the device is not there.
    """
    if not 0 <= seed <= LARGEST_SEED:
        raise CourseError(f"A seed is a whole number from 0 to {LARGEST_SEED}, not {seed}.")
    place = devices.select_device(device)
    training, validation = _divided(recipe, dataset)
    shape = tuple(dataset.train.pixels.shape[1:])
    for done in range(recipe.epochs if recipe.sides else 1):
        augmentation_at(recipe, done).check(shape)

    torch.manual_seed(seed)
    model = models.build(recipe, shape, len(dataset.classes))
    models.check_shapes(model, recipe, shape, len(dataset.classes))
    if hasattr(model, "prepare"):
        model.prepare(normalize(training.pixels[:PREPARE_IMAGES]))
    model = models.replicate(model).to(device=place, memory_format=torch.channels_last)
    model = kernels.quicken(model)
    return Setup(place, training.to(place), validation.to(place), model, make_optimizer(recipe, model))


def _divided(recipe, dataset):
    """The images to train on and those to validate on, if they are enough for the recipe."""
    images = dataset.train
    training, validation = split(images) if recipe.holdout else (images, images[:0])
    if recipe.holdout and not len(validation):
        raise CourseError(
            f"{len(images)} images are too few to hold out a tenth of each class: add some, or train "
            f"with holdout=False."
        )
    if len(training) < recipe.batch_size:
        raise CourseError(f"A batch of {recipe.batch_size} is more than the {len(training)} images.")
    if recipe.batch_size < distributed.world_size():
        raise CourseError(
            f"{distributed.world_size()} processes cannot share a batch of {recipe.batch_size}."
        )
    return training, validation


def augmentation_at(recipe: Recipe, done: int) -> Augmentation:
    """The augmentation of an epoch, of which `done` lie behind it."""
    side = recipe.side_at(done)
    sizes = {"window": side} if recipe.crop else {"side": side}
    return Augmentation(flip=recipe.flip, shift=recipe.shift, border=recipe.border, **sizes)
