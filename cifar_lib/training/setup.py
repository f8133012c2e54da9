"""What is prepared before the first step: device, images, network, optimizer."""

from dataclasses import dataclass
from numbers import Integral

import torch
from torch import nn

from .. import CourseError, models
from ..data import Augmentation, Dataset, Images, normalize, split
from ..data.images import check_values
from ..models import kernels
from ..recipes import Recipe
from ..system import device as devices
from ..system import distributed
from .optimizers import make_optimizer

PREPARE_IMAGES = 5_000  # nearly five million patches of 2×2 pixels, plenty for a covariance of 12 numbers
LARGEST_SEED = 2**32 - 1  # so that the seeds of all epochs fit into the 64 bits that PyTorch takes


@dataclass
class Setup:
    """All that `train_epoch` needs. The images and the network are on the device.

    Args:
        training: the images to train on.
        validation: the held-out images; empty for a recipe without a holdout.
        model: the network, its weights in channels-last order.
    """

    device: torch.device
    training: Images
    validation: Images
    model: nn.Module
    optimizer: torch.optim.Optimizer


def set_up(recipe: Recipe, dataset: Dataset, seed: int = 0, device: str | None = None) -> Setup:
    """Prepare a training: split the images, build the network and its optimizer, move all to the device.

    A network with a method `prepare`, as `FastCNN` has for its whitened first layer, is given the first
    5,000 images to train on, normalised.

    Args:
        seed: sets the initial weights; 0 to 2³² − 1.
        device: "cpu", "cuda" or "cuda:1"; None for a GPU where there is one, else the CPU.

    Raises:
        CourseError: the seed, a pixel or a label is out of range, the device does not exist, the images are
            too few for the recipe's holdout or batch size, or the network cannot be built for their shape or
            has nothing to train.
    """
    if not isinstance(seed, Integral) or not 0 <= seed <= LARGEST_SEED:
        raise CourseError(f"A seed is a whole number from 0 to {LARGEST_SEED}, not {seed!r}.")
    place = devices.select_device(device)
    check_values(dataset.train, len(dataset.classes))
    training, validation = _divided(recipe, dataset)
    for done in range(recipe.epochs if recipe.sides else 1):
        augmentation_at(recipe, done).check(dataset.shape)

    torch.manual_seed(seed)
    model = models.build(recipe, dataset.shape, len(dataset.classes))
    if not models.count_parameters(model):
        raise CourseError(f"{recipe.model!r} has no weights that are trained: let some require a gradient.")
    models.check_shapes(model, recipe, dataset.shape, len(dataset.classes))
    prepare = getattr(model, "prepare", None)
    if prepare is not None:
        prepare(normalize(training.pixels[:PREPARE_IMAGES].to(place)))
    model = models.replicate(model).to(place).to(memory_format=torch.channels_last)
    model = kernels.quicken(model)
    return Setup(place, training.to(place), validation.to(place), model, make_optimizer(recipe, model))


def _divided(recipe: Recipe, dataset: Dataset) -> tuple[Images, Images]:
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
    """The augmentation of the epoch that follows `done` epochs."""
    side = recipe.side_at(done)
    return Augmentation(
        flip=recipe.flip,
        shift=recipe.shift,
        border=recipe.border,
        window=side if recipe.crop else None,
        side=None if recipe.crop else side,
    )
