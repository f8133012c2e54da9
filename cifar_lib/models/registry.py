"""Every network of the book, by name. Inputs are float32 [N, C, H, W], outputs logits [N, classes]."""

import copy
import inspect

import torch
from torch import nn

from .. import CourseError
from ..recipes import Recipe
from .alexnet import AlexNet
from .fast import FastCNN
from .googlenet import GoogLeNet
from .lenet import BeginnerNet, LeNet5
from .paper import MLP, DeepCNN, SkipCNN
from .resnet import ResNet
from .vgg import VGG

MODELS = {
    "mlp": MLP,
    "skip-cnn": SkipCNN,
    "deep-cnn": DeepCNN,
    "lenet-5": LeNet5,
    "beginner": BeginnerNet,
    "alexnet": AlexNet,
    "vgg": VGG,
    "googlenet": GoogLeNet,
    "resnet": ResNet,
    "fast-cnn": FastCNN,
}


def build(recipe: Recipe, shape: tuple[int, int, int], classes: int = 10) -> nn.Module:
    """The network of a recipe, with fresh weights.

    Args:
        shape: channels, height, width of an image.
        classes: how many logits the network gives.

    Raises:
        CourseError: no such network, or an option that it does not take; what the network itself raised
            is its cause.
    """
    if recipe.model not in MODELS:
        raise CourseError(f"There is no network {recipe.model!r}: choose one of {', '.join(MODELS)}.")
    network = MODELS[recipe.model]
    for name in {"shape", "classes"} & set(recipe.options):
        raise CourseError(f"{name} is no option of {recipe.model!r}: it comes from the data.")
    try:
        inspect.signature(network).bind(shape=shape, classes=classes, **recipe.options)
    except TypeError as error:
        raise CourseError(f"{recipe.model!r}: {error}. It takes {_options_of(network)}.") from None
    try:
        return network(shape=shape, classes=classes, **recipe.options)
    except CourseError:
        raise
    except Exception as error:  # a network of the reader's own may raise anything: its traceback stays
        raise CourseError(
            f"{recipe.model!r} cannot be built with the options {recipe.options} for images of "
            f"{'×'.join(map(str, shape))}: {_first_line(error)}"
        ) from error


def _options_of(network):
    names = [name for name in inspect.signature(network).parameters if name not in ("shape", "classes")]
    return ", ".join(names) if names else "no options"


def _first_line(error):
    """PyTorch's messages may go on with lines for its own developers."""
    return (str(error) or type(error).__name__).splitlines()[0]


def check_shapes(model: nn.Module, recipe: Recipe, shape: tuple[int, int, int], classes: int = 10) -> None:
    """Send two images of each of the recipe's sizes through a copy of the network, as training would.

    Raises:
        CourseError: it cannot take images of that size, or gives another number of logits; what the
            network itself raised is its cause.
    """
    copied = copy.deepcopy(model).train()
    images = min(recipe.batch_size, 2)
    for side in {side for _, side in recipe.sides} or {shape[-1]}:
        size = (side, side) if recipe.sides else shape[1:]
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                found = copied(torch.zeros(images, shape[0], *size)).shape
        except Exception as error:
            raise CourseError(
                f"{recipe.model!r} cannot be trained with images of {size[0]}×{size[1]} pixels in batches "
                f"of {recipe.batch_size} ({_first_line(error)}): change sides, options or batch_size."
            ) from error
        if found != (images, classes):
            raise CourseError(
                f"{recipe.model!r} gives {tuple(found)} for {images} images, but {classes} classes need "
                f"{(images, classes)}."
            )
