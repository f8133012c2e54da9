"""Every network of the book by name.

A network is a function of `shape`, `classes` and options of its own, usually a class, which returns a module
from images, float32 [N, C, H, W], to logits [N, classes]. To train one of your own, add it to `MODELS`. Where
its options have type annotations, a recipe's values are checked against them.
"""

import copy
import inspect
import json
from collections.abc import Callable
from typing import Any

import torch
from pydantic import PydanticUserError, TypeAdapter, ValidationError
from torch import nn

from .. import CourseError
from ..recipes import Recipe
from ..system.errors import first_line
from .alexnet import AlexNet
from .fast import FastCNN
from .googlenet import GoogLeNet
from .lenet import BeginnerNet, LeNet5
from .paper import MLP, DeepCNN, SkipCNN
from .resnet import ResNet
from .vgg import VGG

FROM_DATA = ("shape", "classes")  # arguments that the images decide, not the recipe
# Annotations in words; another one, as Literal['max', 'mean'], stands for itself.
KINDS = {
    "bool": "true or false",
    "int": "a whole number",
    "float": "a number",
    "str": "a text",
    "Sequence[int]": "a list of whole numbers, as [64, 128]",
}
MODELS: dict[str, Callable[..., nn.Module]] = {
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
    """The network of a recipe, with fresh weights, which follow the recipe's `init`.

    Args:
        shape: channels, height, width of an image.
        classes: how many logits the network gives; CIFAR-10 and MNIST have ten classes.

    Raises:
        CourseError: there is no such network, or it does not take the recipe's options. Where the network
            itself raised an error, that error is the cause.
    """
    if recipe.model not in MODELS:
        raise CourseError(f"There is no network {recipe.model!r}: choose one of {', '.join(MODELS)}.")
    network = MODELS[recipe.model]
    _check_names(network, recipe)
    _check_kinds(network, recipe.options)
    try:
        model = network(shape=shape, classes=classes, **recipe.options)
    except CourseError:
        raise
    except Exception as error:  # a network of the reader's own may raise anything
        raise CourseError(
            f"{recipe.model!r} cannot be built with the options {recipe.options} for images of "
            f"{'×'.join(map(str, shape))}: {first_line(error)}"
        ) from error
    if any(weights.numel() == 0 for weights in model.parameters()):
        raise CourseError(
            f"{recipe.model!r} has a layer without weights with the options {recipe.options}: make each "
            f"width at least 1."
        )
    if recipe.init == "he":
        he_init(model)
    return model


def he_init(model: nn.Module) -> None:
    """Draw the weights of all convolutions and linear layers anew, so that ReLU keeps the signal's size.

    Weights are normal with mean 0 and variance 2 / fan-in, biases are 0; layers that are not trained stay.
    Source: He et al. (2015), section 2.2.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear) and layer.weight.requires_grad:
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu")
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)


def _check_names(network: Callable[..., nn.Module], recipe: Recipe) -> None:
    """Make sure that the network takes what the images decide and the recipe's options, and needs no more."""
    signature = inspect.signature(network)
    takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in signature.parameters.values())
    for name in FROM_DATA:
        if name in recipe.options:
            raise CourseError(f"{name} is no option of {recipe.model!r}: it comes from the data.")
        if name not in signature.parameters and not takes_any:
            raise CourseError(f"{recipe.model!r} has no argument {name}, which every network needs.")
    try:
        signature.bind(shape=None, classes=None, **recipe.options)
    except TypeError as error:
        options = [name for name in signature.parameters if name not in FROM_DATA]
        taken = ", ".join(options) or "no options"
        raise CourseError(f"{recipe.model!r}: {error}. It takes {taken}.") from None


def _check_kinds(network: Callable[..., nn.Module], options: dict[str, Any]) -> None:
    """Make sure that options are of the kind that the network takes: any text would count as true."""
    try:
        parameters = inspect.signature(network, eval_str=True).parameters
    except Exception:  # an annotation that means something to a type checker alone
        return
    for name, value in options.items():
        kind = parameters[name].annotation if name in parameters else inspect.Parameter.empty
        if kind is inspect.Parameter.empty:
            continue
        try:
            _validate(value, TypeAdapter(kind))
        except PydanticUserError:  # a class that pydantic does not know
            continue
        except ValidationError:
            words = inspect.formatannotation(kind).replace("collections.abc.", "").removesuffix(" | None")
            raise CourseError(f"options.{name} is {KINDS.get(words, words)}, not {value!r}.") from None


def _validate(value: Any, checker: TypeAdapter) -> None:
    """Check a value as JSON, because a record or the command line gives a list where a tuple is meant."""
    try:
        text = json.dumps(value)
    except TypeError:  # something that JSON cannot hold, as a function
        checker.validate_python(value, strict=True)
    else:
        checker.validate_json(text, strict=True)


def check_shapes(model: nn.Module, recipe: Recipe, shape: tuple[int, int, int], classes: int) -> None:
    """Send two images of each of the recipe's sizes through a copy of the network, as training would.

    Args:
        shape: channels, height, width of the data's images; `recipe.sides` replaces height and width.
        classes: how many logits the network has to give.

    Raises:
        CourseError: the network cannot take images of one of the sizes, or gives another number of logits.
            Where the network itself raised an error, that error is the cause.
    """
    copied = copy.deepcopy(model).train()  # a copy, because batch norm changes its averages in training
    images = min(recipe.batch_size, 2)
    for height, width in {(side, side) for _, side in recipe.sides} or {shape[1:]}:
        try:
            with torch.no_grad(), torch.random.fork_rng(devices=[]):
                found = copied(torch.zeros(images, shape[0], height, width)).shape
        except Exception as error:
            raise CourseError(
                f"{recipe.model!r} cannot be trained with images of {height}×{width} pixels in batches "
                f"of {recipe.batch_size} ({first_line(error)}): change sides, options or batch_size."
            ) from error
        if found != (images, classes):
            raise CourseError(
                f"{recipe.model!r} gives {tuple(found)} for {images} images, but {classes} classes need "
                f"{(images, classes)}."
            )
